//! The engine's events as hints, with a relist whenever some may have been missed.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::time::Duration;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;

use crate::client::{DEADLINE, Engine, of_bollard};
use crate::containers::{ContainerSummary, Health};
use crate::error::Result;
use crate::time::{Time, format_since};

/// Something that may have changed. An event is a hint to look again, never a fact to act on: it
/// may come twice, late, or for something that is different by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The stream starts, or starts anew: forget what earlier events said. What was known before
    /// stays valid until [`Event::InitDone`], when it is replaced by the containers in between.
    Init,
    /// A container that is there.
    InitApply(ContainerSummary),
    /// All containers have been named; from here on changes follow.
    InitDone,
    /// The stream has ended: nothing is heard until the next [`Event::Init`]. What is remembered may be old from now on.
    Lost,
    /// Something happened to a container.
    Container(ContainerEvent),
    /// Something happened to a volume.
    Volume(VolumeEvent),
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEvent {
    /// The full id.
    pub id: String,
    /// Its name then.
    pub name: String,
    /// What happened.
    pub action: Action,
    /// Its labels, plus what the engine adds: `image`, `exitCode`, `signal`, `oldName`, …
    pub attributes: BTreeMap<String, String>,
    /// When, on the engine's clock.
    pub time: Time,
}

/// Something that happened to a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeEvent {
    /// Its name.
    pub name: String,
    /// [`Action::Create`] or [`Action::Destroy`].
    pub action: Action,
    /// When, on the engine's clock.
    pub time: Time,
}

/// What happened. Execs, mounts and attachments are left out: they say nothing about the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the engine's own words")]
pub enum Action {
    Create,
    Start,
    /// The process ended, for whatever reason.
    Die,
    /// Somebody asked for the stop, and it is done.
    Stop,
    /// A signal was sent, of whatever kind.
    Kill,
    Oom,
    Restart,
    Pause,
    Unpause,
    Rename,
    Update,
    Destroy,
    Health(Health),
}

impl Action {
    /// The engine's words, which are also the filter that is sent to it.
    const WORDS: [(&'static str, Action); 12] = [
        ("create", Action::Create),
        ("start", Action::Start),
        ("die", Action::Die),
        ("stop", Action::Stop),
        ("kill", Action::Kill),
        ("oom", Action::Oom),
        ("restart", Action::Restart),
        ("pause", Action::Pause),
        ("unpause", Action::Unpause),
        ("rename", Action::Rename),
        ("update", Action::Update),
        ("destroy", Action::Destroy),
    ];

    /// Comes with the outcome behind a colon: `health_status: healthy`.
    const HEALTH: &'static str = "health_status";

    fn parse(word: &str) -> Option<Self> {
        if let Some(outcome) = word.strip_prefix(Action::HEALTH) {
            return Some(Action::Health(
                match outcome.trim_start_matches([':', ' ']) {
                    "healthy" => Health::Healthy,
                    "unhealthy" => Health::Unhealthy,
                    "starting" => Health::Starting,
                    _ => Health::None,
                },
            ));
        }
        let found = Action::WORDS.into_iter().find(|(known, _)| *known == word);
        found.map(|(_, action)| action)
    }
}

/// The pause before the n-th attempt to connect again.
fn backoff(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(10);
    (FIRST * 2_u32.saturating_pow(failures.min(16))).min(LONGEST)
}

/// A connection that lived so long was no failure.
const LIVED: Duration = Duration::from_secs(60);

impl Engine {
    /// Follows the engine for ever.
    ///
    /// # Guarantees
    /// - It starts with [`Event::Init`], every container there is, [`Event::InitDone`]; so it does
    ///   again after every lost connection, which is told as [`Event::Lost`] at once. It never ends and never fails: while the engine is
    ///   away it waits, with pauses of 50 ms to 10 s.
    /// - Nothing is lost between list and stream: the stream starts at the moment before the list,
    ///   on the engine's clock. Something that happened in between may come twice.
    ///
    /// # Cancel safety
    /// Waiting for the next item can be given up and taken up again without a loss.
    pub fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
        let watcher = Watcher {
            engine: self.clone(),
            listed: VecDeque::new(),
            live: None,
            lost: None,
            failures: 0,
        };
        Box::pin(stream::unfold(watcher, |mut watcher| async {
            let event = watcher.next().await;
            Some((event, watcher))
        }))
    }
}

type Messages =
    Pin<Box<dyn Stream<Item = std::result::Result<EventMessage, bollard::errors::Error>> + Send>>;

struct Watcher {
    engine: Engine,
    /// Of the latest list, what has not been handed out.
    listed: VecDeque<Event>,
    /// The open stream and its age.
    live: Option<(Messages, Instant)>,
    /// Why the last one ended, until that is told.
    lost: Option<String>,
    /// Attempts in a row that came to nothing.
    failures: u32,
}

impl Watcher {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.listed.pop_front() {
                return event;
            }
            if let Some(why) = self.lost.take() {
                self.pause(&why).await;
            }
            let Some((messages, since)) = &mut self.live else {
                if let Err(error) = self.relist().await {
                    self.pause(&error.to_string()).await;
                }
                continue;
            };
            match messages.next().await {
                Some(Ok(message)) => {
                    self.failures = 0;
                    if let Some(event) = translate(message) {
                        return event;
                    }
                }
                ended => {
                    if since.elapsed() > LIVED {
                        self.failures = 0;
                    }
                    self.live = None;
                    self.listed.push_back(Event::Lost);
                    let why = ended.and_then(std::result::Result::err).map_or_else(
                        || "the engine closed the event stream".to_owned(),
                        |e| of_bollard(e, "follow the engine's events").to_string(),
                    );
                    // Said before the pause, which follows with the next call.
                    self.lost = Some(why);
                }
            }
        }
    }

    /// Takes the engine's time, then lists, then follows from that time on.
    async fn relist(&mut self) -> Result<()> {
        let info = self.engine.info().await?;
        let containers = self.engine.containers(&[]).await?;
        self.listed.push_back(Event::Init);
        self.listed
            .extend(containers.into_iter().map(Event::InitApply));
        self.listed.push_back(Event::InitDone);

        let actions = Action::WORDS.iter().map(|(word, _)| *word);
        let filters: std::collections::HashMap<&str, Vec<&str>> = [
            ("type", vec!["container", "volume"]),
            ("event", actions.chain([Action::HEALTH]).collect()),
        ]
        .into();
        let mut options = EventsOptionsBuilder::new().filters(&filters);
        if let Some(time) = info.system_time {
            options = options.since(&format_since(time));
        }
        self.engine.count();
        // The deadline is for the first byte of the answer; the stream itself has none.
        let docker = self.engine.docker.clone().with_timeout(DEADLINE);
        let messages = docker.events(Some(options.build()));
        self.live = Some((Box::pin(messages), Instant::now()));
        Ok(())
    }

    async fn pause(&mut self, why: &str) {
        let pause = backoff(self.failures);
        if self.failures == 0 {
            tracing::warn!(why, "lost the engine, connecting again");
        } else {
            tracing::debug!(why, ?pause, "the engine is still away");
        }
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(pause).await;
    }
}

fn translate(message: EventMessage) -> Option<Event> {
    let action = Action::parse(&message.action?)?;
    let actor = message.actor?;
    let (id, attributes) = (actor.id?, actor.attributes.unwrap_or_default());
    let time = message
        .time_nano
        .and_then(|t| Time::try_from(t).ok())
        .unwrap_or_default();
    match message.typ? {
        EventMessageTypeEnum::CONTAINER => Some(Event::Container(ContainerEvent {
            id,
            name: attributes.get("name").cloned().unwrap_or_default(),
            action,
            attributes: attributes.into_iter().collect(),
            time,
        })),
        EventMessageTypeEnum::VOLUME => Some(Event::Volume(VolumeEvent {
            name: id,
            action,
            time,
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_with_their_outcome() {
        assert_eq!(Action::parse("die"), Some(Action::Die));
        assert_eq!(
            Action::parse("health_status: unhealthy"),
            Some(Action::Health(Health::Unhealthy))
        );
        assert_eq!(Action::parse("exec_create: sh -c true"), None);
        assert_eq!(Action::parse("mount"), None);
    }

    #[test]
    fn pauses_grow_and_end_growing() {
        assert_eq!(backoff(0), Duration::from_millis(50));
        assert_eq!(backoff(3), Duration::from_millis(400));
        assert_eq!(backoff(u32::MAX), Duration::from_secs(10));
    }
}
