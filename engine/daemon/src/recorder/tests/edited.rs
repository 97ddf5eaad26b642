//! Records of sessions that were edited.

use pacao_core::Config;
use proto::Disarmed;

use super::*;

fn disarmed() -> Written {
    let mut written = Written::new();
    written.a_while();
    let by = Actor::Operator { name: "ada".into() };
    let command = Command::Disarm {
        how: Disarmed::Freeze,
    };
    written.take(Input::Command {
        request: RequestId("disarm".into()),
        by,
        command,
    });
    written.recorder.commit().unwrap();
    written
}

fn edited(written: &Written) -> Config {
    let mut config = written.engine.config().clone();
    config.slots.decide = Span::secs(7);
    config
}

fn is_disarmed(engine: &Engine) -> bool {
    let arming = engine.snapshot(START).policy.arming;
    matches!(
        arming,
        proto::Arming::Disarmed {
            how: Disarmed::Freeze,
            ..
        }
    )
}

fn kept(written: &Written) -> Vec<PathBuf> {
    let folder = fs::read_dir(written.path.parent().unwrap()).unwrap();
    let all = folder.map(|entry| entry.unwrap().path());
    all.filter(|path| *path != written.path).collect()
}

#[test]
fn the_mode_in_the_session_is_that_of_the_first_start() {
    let written = disarmed();
    let mut config = written.engine.config().clone();
    config.mode = Mode::Observe;
    let resumed = resume(&written.path, &config).unwrap();
    assert_eq!((resumed.carried, resumed.engine.mode()), (None, Mode::Auto));
}

#[test]
fn an_edited_session_goes_on_in_a_new_record_and_the_old_one_is_kept_whole() {
    let written = disarmed();
    let before = written.text();
    let config = edited(&written);
    let mut resumed = resume(&written.path, &config).unwrap();
    let told = resumed.carried.unwrap();
    assert!(is_disarmed(&resumed.engine), "no edit arms an engine");
    assert_eq!(*resumed.engine.config(), config);
    let [old] = &kept(&written)[..] else {
        panic!("{:?}", kept(&written))
    };
    assert_eq!(fs::read_to_string(old).unwrap(), before);
    assert!(
        told.contains(&*old.to_string_lossy()) && told.contains("disarmed (freeze)"),
        "{told}"
    );
    assert_eq!(
        fs::metadata(&written.path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    resumed.recorder.input(resumed.last, &Input::Started).unwrap();
    resumed.engine.handle(Input::Started, resumed.last);
    resumed.recorder.commit().unwrap();
    let report = replay(&written.path).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    let from = report.carried_from.unwrap();
    assert_eq!(from.record, old.file_name().unwrap().to_string_lossy());
    assert!(
        before.lines().last().unwrap().contains(&from.sum),
        "linked by the last seal"
    );
    let again = resume(&written.path, &config).unwrap();
    assert_eq!((again.carried, again.engine == resumed.engine), (None, true));
}

/// Killed between any two steps: an engine never finds nothing and begins anew, armed.
#[test]
fn wherever_the_change_of_records_is_cut_short_the_engine_stays_disarmed() {
    let written = disarmed();
    let config = edited(&written);
    let draft = written.path.with_extension("draft");
    // While the draft was written.
    fs::write(&draft, "{\"format\":").unwrap();
    let resumed = resume(&written.path, &config).unwrap();
    assert!(is_disarmed(&resumed.engine) && !draft.exists());

    // After the old one got its second name, before the draft took the first.
    let written = disarmed();
    fs::hard_link(&written.path, written.path.with_file_name("record-until-1.jsonl")).unwrap();
    fs::write(written.path.with_extension("draft"), "").unwrap();
    let resumed = resume(&written.path, &config).unwrap();
    assert!(is_disarmed(&resumed.engine));
    assert!(is_disarmed(&resume(&written.path, &config).unwrap().engine));
}

/// What cannot be read back is no ground to go on from.
#[test]
fn a_damaged_record_is_not_carried_into_an_edited_session() {
    let written = disarmed();
    let config = edited(&written);
    let (head, tail) = {
        let text = written.text();
        let second = text.find('\n').unwrap() + 1;
        (text[..second].to_owned(), text[second..].to_owned())
    };
    let text = head + &tail.replacen("\"at\":17", "\"at\":18", 1);
    fs::write(&written.path, &text).unwrap();
    assert!(matches!(
        resume(&written.path, &config),
        Err(RecordError::Damaged { .. })
    ));
    assert_eq!(
        (written.text(), kept(&written)),
        (text, Vec::new()),
        "nothing was touched"
    );
}
