//! The recorder as the shell uses it: off the shell's thread where it waits for the disk, and with its failures kept.

use std::sync::Arc;
use std::time::Duration;

use pacao_core::{Effect, Engine, Input};
use proto::Timestamp;
use tokio::time::Instant;

use crate::paths::StateDir;
use crate::record::RecordError;
use crate::recorder::{Due, FLUSH_EVERY, Recorder, Turn};

/// How often a record that failed is tried again.
const MEND_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Journal {
    /// Taken out only while a blocking thread writes.
    recorder: Option<Recorder>,
    /// Locked until the last write is done, even if the shell is killed meanwhile: two engines never write one record.
    state: Arc<StateDir>,
    failure: Option<Failure>,
    flush_at: Option<Instant>,
}

struct Failure {
    why: String,
    /// Whether staff know.
    told: bool,
    mend_at: Instant,
}

impl Journal {
    pub(super) fn new(recorder: Recorder, state: Arc<StateDir>) -> Self {
        Self {
            recorder: Some(recorder),
            state,
            failure: None,
            flush_at: None,
        }
    }

    /// Why nothing can be recorded, if so.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.why.as_str())
    }

    /// Whether a failure is news still.
    pub(super) fn has_news(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| !failure.told)
    }

    /// A failure that nobody was told of, once.
    pub(super) fn news(&mut self) -> Option<String> {
        let failure = self.failure.as_mut().filter(|failure| !failure.told)?;
        failure.told = true;
        Some(failure.why.clone())
    }

    /// When [`Self::flush`] or [`Self::mend`] is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.failure
            .as_ref()
            .map_or(self.flush_at, |failure| Some(failure.mend_at))
    }

    /// Takes down the whole engine if that is due, before the next input; in another file, if this one is long. An error
    /// becomes a [`Self::failure`].
    pub(super) async fn look_back(&mut self, at: Timestamp, engine: &Engine) -> Option<Turn> {
        if self.failure.is_some() {
            return None;
        }
        match self.recorder.as_ref().map(Recorder::due)? {
            Due::Nothing => None,
            Due::State => {
                let _failure_is_told_later = self.state(at, engine);
                None
            }
            Due::Turn => {
                let engine = engine.clone();
                let turned = self.blocking(move |recorder| recorder.turn(at, &engine));
                turned.await.ok()
            }
        }
    }

    /// Takes down what happened; in memory for now. Without a [`Self::failure`] after it, an error is of this input alone.
    pub(super) fn input(&mut self, at: Timestamp, input: &Input) -> Result<(), String> {
        self.with(|recorder| recorder.input(at, input))
    }

    /// From here on an input and what is decided upon it stand in the record together, or neither does.
    pub(super) fn hold(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.hold();
        }
    }

    /// The end of it.
    pub(super) fn release(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.release();
        }
    }

    /// Takes down what was decided; in memory until [`Self::commit`]. An error is a [`Self::failure`]: what is not on the record
    /// is not carried out.
    pub(super) fn decisions(&mut self, at: Timestamp, decisions: &[&Effect]) -> Result<(), String> {
        match self.with(|recorder| recorder.decisions(at, decisions)) {
            Err(why) if self.failure.is_none() => Err(self.fail(why)),
            taken => taken,
        }
    }

    /// Takes down the whole engine, before a stop.
    pub(super) fn state(&mut self, at: Timestamp, engine: &Engine) -> Result<(), String> {
        self.with(|recorder| recorder.state(at, engine))
    }

    /// All of it to the file.
    pub(super) async fn flush(&mut self) -> Result<(), String> {
        self.blocking(Recorder::flush).await
    }

    /// All of it to the disk.
    pub(super) async fn commit(&mut self) -> Result<(), String> {
        self.blocking(Recorder::commit).await
    }

    /// Tries whether a record that failed can be written again. `true`: it can, and goes on from `engine`.
    pub(super) async fn mend(&mut self, at: Timestamp, engine: &Engine) -> bool {
        let Some(failure) = self.failure.take() else {
            return false;
        };
        let engine = engine.clone();
        let why = failure.why.clone();
        let mended = self
            .blocking(move |recorder| recorder.mend(at, &why, &engine))
            .await;
        if mended.is_err() {
            // The first reason is the one that staff saw.
            self.failure = Some(Failure {
                why: failure.why,
                told: true,
                mend_at: Instant::now() + MEND_EVERY,
            });
        }
        mended.is_ok()
    }

    fn with(&mut self, write: impl FnOnce(&mut Recorder) -> Result<(), RecordError>) -> Result<(), String> {
        if let Some(failure) = &self.failure {
            return Err(failure.why.clone());
        }
        let Some(recorder) = &mut self.recorder else {
            return Err(self.fail(LOST.into()));
        };
        match write(recorder) {
            Ok(()) => {
                self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_EVERY);
                Ok(())
            }
            // Nothing of it stands in the file, and the next line may be well.
            Err(error @ RecordError::Unreadable { .. }) => Err(error.to_string()),
            Err(error) => Err(self.fail(error.to_string())),
        }
    }

    /// Disks stall; the other tasks of this thread do not wait for them.
    async fn blocking<T: Send + 'static>(
        &mut self,
        write: impl FnOnce(&mut Recorder) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, String> {
        if let Some(failure) = &self.failure {
            return Err(failure.why.clone());
        }
        let Some(mut recorder) = self.recorder.take() else {
            return Err(self.fail(LOST.into()));
        };
        let state = Arc::clone(&self.state);
        let written = tokio::task::spawn_blocking(move || {
            let result = write(&mut recorder);
            drop(state);
            (recorder, result)
        });
        self.flush_at = None;
        match written.await {
            Ok((recorder, result)) => {
                self.recorder = Some(recorder);
                result.map_err(|error| self.fail(error.to_string()))
            }
            Err(_) => Err(self.fail(LOST.into())),
        }
    }

    fn fail(&mut self, why: String) -> String {
        self.flush_at = None;
        self.failure = Some(Failure {
            why: why.clone(),
            told: false,
            mend_at: Instant::now() + MEND_EVERY,
        });
        why
    }
}

const LOST: &str = "the thread that writes it died";
