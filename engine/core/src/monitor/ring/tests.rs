use proptest::prelude::*;
use proto::ProbeOutcome;

use super::*;

const PACE: Span = Span::millis(500);

fn answered(micros: u64) -> Outcome {
    Outcome::new(ProbeOutcome::Rtt(Span(micros)), false)
}

#[test]
fn samples_within_the_window_come_back_with_the_moments_they_went_in() {
    let mut ring = Ring::default();
    let mut want = Vec::new();
    for n in 0..1000_u64 {
        let at = Timestamp(1_700_000_000_000_000 + n * 500_000 + n % 7);
        let outcome = if n % 9 == 0 {
            ProbeOutcome::Lost
        } else {
            ProbeOutcome::Rtt(Span(n * 997))
        };
        let outcome = Outcome::new(outcome, n % 5 == 0);
        ring.push(outcome, at, (Span::secs(10), PACE));
        want.push((at, outcome));
    }
    assert_eq!(ring.since(want[980].0), want[980..]);
    assert_eq!(ring.since(want[990].0), want[990..]);
    assert_eq!(ring.all().len(), POINTS);
    assert_eq!(ring.last_at(), Some(want[999].0));
}

#[test]
fn a_window_longer_than_the_history_is_kept_whole() {
    let mut ring = Ring::default();
    for n in 0..1000_u64 {
        ring.push(
            answered(1),
            Timestamp(n * 1_000_000),
            (Span::secs(600), Span::secs(1)),
        );
    }
    assert_eq!(ring.since(Timestamp(399_000_000)).len(), 601);
    assert_eq!(ring.all().len(), 601);
}

#[test]
fn a_flood_of_samples_is_bounded() {
    let mut ring = Ring::default();
    for n in 0..100_000_u64 {
        ring.push(Outcome::LOST, Timestamp(n), (Span::secs(600), PACE));
    }
    assert_eq!(ring.all().len(), MOST);
    ring.push(Outcome::LOST, Timestamp(u64::MAX), (Span::secs(600), PACE));
    assert_eq!(ring.all().len(), 1);
}

#[test]
fn a_long_window_that_empties_at_once_leaves_its_history() {
    let mut ring = Ring::default();
    for n in 0..4000_u64 {
        ring.push(
            answered(35_000 + n * 7919 % 100_000),
            Timestamp(n * 100_000),
            (Span::secs(400), PACE),
        );
    }
    ring.push(answered(1), Timestamp(800_000_000), (Span::secs(400), PACE));
    assert_eq!(ring.since(Timestamp(0)).len(), 1);
    ring.retire_all();
    assert_eq!((ring.since(Timestamp(0)).len(), ring.all().len()), (0, 1));
}

#[test]
fn a_full_history_of_an_uneasy_link_takes_little_room() {
    let mut ring = Ring::default();
    let mut seed = 7_u64;
    for n in 0..2000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let late = seed >> 53;
        let rtt = 35_000 + (seed >> 33) % 2_000;
        let outcome = if n % 100 == 50 {
            Outcome::LOST
        } else {
            answered(rtt)
        };
        ring.push(outcome, Timestamp(n * 500_000 + late), (Span::secs(10), PACE));
    }
    assert_eq!((ring.all().len(), ring.since(Timestamp(0)).len()), (POINTS, 21));
    let past = ring.tail - ring.head;
    assert!(past <= 650, "{past} bits of the past");
    assert!(ring.bytes.len() <= 176, "{}", ring.bytes.len());
    assert!(size_of::<Ring>() <= 80, "{}", size_of::<Ring>());
}

#[test]
fn a_slow_link_s_moments_are_as_good_as_a_fast_one_s() {
    let pace = Span::secs(5);
    let mut ring = Ring::default();
    let at = |n: u64| Timestamp(1_700_000_000_000_000 + n * 5_000_000 + n * n * 7919 % 400_000);
    for n in 0..30 {
        ring.push(answered(35_000), at(n), (Span::ZERO, pace));
    }
    let all = ring.all();
    assert!(all.len() >= 24, "{}", all.len());
    for (n, (was, _)) in (0..30).rev().zip(all.iter().rev()) {
        let off = was.0.abs_diff(at(n).0);
        assert!(off <= 66_100, "{off} us off");
    }
}

/// A flow of outcomes as links have them: steady, with leaps, losses, late ones and pauses.
fn flow() -> impl Strategy<Value = Vec<(u64, Outcome)>> {
    let gap = prop_oneof![
        8 => 495_000_u64..505_000,
        2 => 1_u64..1_000_000,
        1 => 1_000_000_u64..200_000_000,
    ];
    let outcome = prop_oneof![
        8 => (30_000_u64..36_000).prop_map(|rtt| ProbeOutcome::Rtt(Span(rtt))),
        2 => (0_u64..2_000_000_000).prop_map(|rtt| ProbeOutcome::Rtt(Span(rtt))),
        1 => Just(ProbeOutcome::Lost),
        1 => (0_u64..5_000_000).prop_map(|so_far| ProbeOutcome::Overdue(Span(so_far))),
    ];
    let sample = (gap, outcome, any::<bool>());
    prop::collection::vec(
        sample.prop_map(|(gap, outcome, down)| (gap, Outcome::new(outcome, down))),
        1..600,
    )
}

/// The same by the rules alone, with every sample kept whole.
fn kept(samples: &[Sample], window: Span) -> &[Sample] {
    let Some(&(now, _)) = samples.last() else {
        return samples;
    };
    let young = |&(at, _): &Sample| {
        let age = now.since(at);
        age <= window || age <= HISTORY
    };
    let within = samples
        .iter()
        .rev()
        .take_while(|&&(at, _)| now.since(at) <= window)
        .count();
    let all = samples.iter().rev().take_while(|&sample| young(sample)).count();
    &samples[samples.len() - all.min(POINTS.max(within))..]
}

proptest! {
    #[test]
    fn the_window_is_exact_and_the_history_as_good_as(
        flow in flow(),
        window in 0_u64..150,
        written_at in 0_usize..600,
    ) {
        let window = Span::secs(window);
        let mut ring = Ring::default();
        let mut taken: Vec<Sample> = Vec::new();
        let mut now = Timestamp(1_700_000_000_000_000);
        for (number, (gap, outcome)) in flow.into_iter().enumerate() {
            now = now + Span(gap);
            ring.push(outcome, now, (window, PACE));
            taken.push((now, outcome));
            let want: Vec<Sample> = taken.iter().copied().filter(|&(at, _)| now.since(at) <= window).collect();
            prop_assert_eq!(ring.since(now - window), want);
            if number == written_at {
                let json = serde_json::to_string(&Written::from(&ring)).unwrap();
                let read: Written = serde_json::from_str(&json).unwrap();
                let read = Ring::try_from(read).unwrap();
                prop_assert_eq!(&read, &ring);
                prop_assert_eq!(read.all(), ring.all());
                ring = read;
            }
        }
        let all = ring.all();
        let want = kept(&taken, window);
        // At the far end the moments as written decide.
        prop_assert!(all.len().abs_diff(want.len()) <= 1, "{} of {}", all.len(), want.len());
        for (&(at, got), &(want_at, want)) in all.iter().rev().zip(want.iter().rev()) {
            prop_assert!(at.0.abs_diff(want_at.0) <= 70_000, "{} us off", at.0.abs_diff(want_at.0));
            prop_assert_eq!(got.is_lost(), want.is_lost());
            prop_assert_eq!(got.rtt().is_some(), want.rtt().is_some());
            let (got, want) = (got.at_least().unwrap_or(0), want.at_least().unwrap_or(0));
            prop_assert!(u64::from(got.abs_diff(want)) * 64 <= u64::from(want), "{} for {}", got, want);
        }
    }

    #[test]
    fn an_outcome_takes_the_place_of_another_wherever_it_is(flow in flow(), back in 0_usize..300) {
        let mut ring = Ring::default();
        let mut now = Timestamp(1_700_000_000_000_000);
        for (gap, outcome) in flow {
            now = now + Span(gap);
            ring.push(outcome, now, (Span::secs(10), PACE));
        }
        let before = ring.all();
        let known = ring.replace(back, answered(51));
        prop_assert_eq!(known, back < before.len());
        let after = ring.all();
        prop_assert_eq!(after.len(), before.len());
        for (at, (old, new)) in before.iter().rev().zip(after.iter().rev()).enumerate() {
            prop_assert_eq!(new.1, if at == back { answered(51) } else { old.1 });
        }
        prop_assert_eq!(ring.last_at(), Some(now));
    }
}

#[test]
fn what_no_ring_writes_is_refused() {
    let mut ring = Ring::default();
    for n in 0..100 {
        ring.push(answered(35_000), Timestamp(n * 500_000), (Span::secs(10), PACE));
    }
    let written = serde_json::to_value(Written::from(&ring)).unwrap();
    let read = |written: &serde_json::Value| {
        Ring::try_from(serde_json::from_value::<Written>(written.clone()).unwrap())
    };
    assert_eq!(read(&written).unwrap().all(), ring.all());
    for (field, value) in [
        ("count", serde_json::json!(81)),
        ("count", serde_json::json!(3)),
        ("bits", serde_json::json!(9)),
        ("level", serde_json::json!(65_535)),
        ("bytes", serde_json::json!("\u{e9}")),
    ] {
        let mut wrong = written.clone();
        wrong["past"][field] = value;
        assert!(read(&wrong).is_err(), "{field}");
    }
    let mut wrong = written.clone();
    let bytes = wrong["past"]["bytes"].as_str().unwrap();
    wrong["past"]["bytes"] = format!("zz{}", &bytes[2..]).into();
    assert!(read(&wrong).is_err());
}

#[test]
fn samples_of_versions_that_kept_all_exactly_are_read() {
    let old = r#"{"samples":[[0,35000],[500000,2147483647],[500000,36000]],"first_at":1000000,"last_at":2000000,"taken":9}"#;
    let written: Written = serde_json::from_str(old).unwrap();
    let mut ring = Ring::try_from(written).unwrap();
    let want = [
        (Timestamp(1_000_000), answered(35_000)),
        (Timestamp(1_500_000), Outcome::LOST),
        (Timestamp(2_000_000), answered(36_000)),
    ];
    assert_eq!(ring.since(Timestamp(0)), want);
    ring.retire_before(Timestamp(1_500_000));
    assert_eq!((ring.since(Timestamp(0)).len(), ring.all().len()), (2, 3));
}

/// Sixty samples, two seconds of them the window: a few losses, one leap, one that is out still, and a pause.
const FINER: &str = r#"{"samples":[[0,35101],[500972,35288],[501851,35019],[500856,35616]],"first_at":1700000031567576,
"last_at":1700000033071255,"taken":0,"pace":500000,"past":{"at":1700000000001137,"every":488,"level":0,"spread":0,"count":56,
"bits":414,"bytes":"ffeb40ff93407fa4ff917bff08cbffd0d53f23d2ff3e906696d0ffe435b0243857c805ff61a966b0d86b640d011cebce255bff07"}}"#;

/// What the version that wrote them read: of all samples but the window's, milliseconds since the first and microseconds, 0
/// for a loss.
const READ: [(u64, u32); 56] = [
    (0, 36_480),
    (499, 35_072),
    (999, 36_864),
    (1_499, 36_352),
    (1_998, 35_968),
    (2_498, 0),
    (2_998, 36_480),
    (3_497, 35_456),
    (3_997, 35_072),
    (4_497, 36_992),
    (4_997, 36_736),
    (5_496, 35_328),
    (5_996, 249_856),
    (6_496, 69_888),
    (6_995, 36_736),
    (7_495, 35_840),
    (7_995, 36_736),
    (8_495, 35_712),
    (8_994, 36_224),
    (9_494, 36_864),
    (13_026, 35_712),
    (13_526, 36_224),
    (14_025, 36_736),
    (14_525, 35_968),
    (15_025, 36_608),
    (15_524, 35_456),
    (16_024, 35_968),
    (16_524, 36_864),
    (17_024, 35_712),
    (17_523, 36_352),
    (18_023, 0),
    (18_523, 35_968),
    (19_022, 36_736),
    (19_522, 35_456),
    (20_022, 36_864),
    (20_521, 36_352),
    (21_021, 36_096),
    (21_521, 36_992),
    (22_021, 35_584),
    (22_520, 35_200),
    (23_020, 36_480),
    (23_520, 36_480),
    (24_019, 35_840),
    (24_519, 36_608),
    (25_019, 36_864),
    (25_519, 36_608),
    (26_018, 36_352),
    (26_518, 36_736),
    (27_018, 35_968),
    (27_517, 35_200),
    (28_017, 36_608),
    (28_517, 35_584),
    (29_017, 36_736),
    (29_516, 36_096),
    (30_016, 35_200),
    (30_516, 0),
];

#[test]
fn histories_of_versions_that_kept_them_finer_are_read() {
    let read = |json: &str| Ring::try_from(serde_json::from_str::<Written>(json).unwrap());
    let ring = read(FINER).unwrap();
    let all = ring.all();
    assert_eq!((all.len(), ring.since(Timestamp(0)).len()), (60, 4));
    assert_eq!(
        ring.since(Timestamp(0))[0],
        (Timestamp(1_700_000_031_567_576), answered(35_101))
    );
    for (number, (&(at, got), (since, want))) in all.iter().zip(READ).enumerate() {
        let since = Timestamp(1_700_000_000_500_849 + 1000 * since);
        assert!(at.0.abs_diff(since.0) <= 1024, "{number}: {at:?} for {since:?}");
        let rtt = got.at_least().unwrap_or(0);
        assert!(rtt.abs_diff(want) * 64 <= want, "{number}: {rtt} for {want}");
        assert_eq!(got.rtt().is_some(), want > 0 && number != 13);
    }
    assert!(read(&FINER.replace("\"count\":56", "\"count\":56,\"grade\":7")).is_err());
    let again = serde_json::to_string(&Written::from(&ring)).unwrap();
    assert_eq!(read(&again).unwrap().all(), all);
}
