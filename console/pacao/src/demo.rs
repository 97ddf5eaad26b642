//! `pacao demo`: the main job on this machine. A fabric in namespaces, a download through the tunnel, a link that goes
//! bad, a proposal, one key, and the traffic enters elsewhere.

mod play;
mod stage;
mod summary;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow};
use proto::Mode;
use tui::{Asks, Ending, Input};

use crate::cli::DemoArgs;
use crate::screen::{self, Screen};
use play::{Story, play};
use stage::Stage;
use summary::{Facts, Summary};

/// Plays the demo; `Ok(true)` if the checks of its summary hold, or staff ended it by hand. A signal is no hand.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<bool> {
    testbed::enter()?;
    if !args.headless {
        screen::present()?;
        screen::layout(&args.screen)?;
    }
    let stage = Stage::build(args)?;
    let story = if args.headless {
        headless(&stage, args)?
    } else {
        on_screen(&stage, args)?
    };
    let facts = Facts::of(&stage, &story, args.auto);
    let outcome = stage.end().context("ending the demo")?;
    let summary = Summary::new(&facts, &story, &outcome);
    let text = if args.json {
        serde_json::to_string_pretty(&summary.json()?)?
    } else {
        summary.text()
    };
    // The terminal may have gone before the demo did.
    writeln!(std::io::stdout(), "{text}").context("printing the summary")?;
    Ok(!story.broken_off && (summary.holds() || !args.auto))
}

/// Prints a line at each turn.
fn headless(stage: &Stage, args: &DemoArgs) -> anyhow::Result<Story> {
    let stop = stage.interrupted();
    let begin = Instant::now();
    play(stage, args, stage.attach()?, &stop, |line| {
        let line = format!("[{:6.2} s] {line}", begin.elapsed().as_secs_f64());
        // With --json, standard output is one object.
        if args.json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    })
}

/// Shows the console, with a line of advice at each turn.
fn on_screen(stage: &Stage, args: &DemoArgs) -> anyhow::Result<Story> {
    let screen = Screen::new(&args.screen, stage.attach()?)?
        .quitting(Asks::WhileUnderWay, "the demo ends, and all it built");
    let followed = stage.attach()?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // However the console ends: the scope waits for the player.
        let stopping = Stop(&stop);
        let mut player = None;
        let shown = screen.show(|feed| {
            let stop = &stop;
            player = Some(scope.spawn(move || {
                let advise = |line: &str| {
                    // A console that is gone needs no advice.
                    let _ = feed.send(Input::Guide(Some(line.to_owned())));
                };
                let story = play(stage, args, followed, stop, advise);
                if args.auto || story.is_err() {
                    let _ = feed.send(Input::Close {
                        why: "the demo is over".to_owned(),
                    });
                }
                story
            }));
        });
        drop(stopping);
        let player = player.context("the console did not start")?;
        let story = player.join().map_err(|_| anyhow!("the demo's player died"))?;
        let ending = shown?;
        story.map(|story| Story {
            broken_off: matches!(ending, Ending::Signal(_)),
            ..story
        })
    })
}

/// Stops the player when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The mode a demo begins in.
fn mode(args: &DemoArgs) -> Mode {
    if args.auto { Mode::Auto } else { Mode::Recommend }
}
