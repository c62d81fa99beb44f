//! What a scenario sees of the world that it runs in: the real engine with the real programs, or the fake engine on a paused
//! clock. Only states can be asked for, so that one text is true of both, and the fake stays honest.

mod calls;
mod stack;

pub use calls::changes;
pub use stack::{Needs, Service, Stack};

/// A container at the moment when it was looked up. Two are equal if it was not started anew in between.
#[derive(Debug, Clone)]
pub struct Found {
    /// The engine's id.
    pub id: String,
    /// When it was started last, as the engine writes it.
    pub started_at: String,
    /// Whether it runs.
    pub running: bool,
    /// `healthy`, `unhealthy`, `starting`; nothing without a healthcheck.
    pub health: String,
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.started_at) == (&other.id, &other.started_at)
    }
}

/// What a user does to all containers of a project with compose.
#[derive(Debug, Clone, Copy)]
pub enum Compose {
    /// `docker compose stop`
    Stop,
    /// `docker compose start`
    Start,
    /// `docker compose restart`
    Restart,
    /// `docker compose down -v`
    Down,
}

/// What a user does to one container.
#[derive(Debug, Clone, Copy)]
pub enum Hand {
    /// `docker stop`
    Stop,
    /// `docker start`
    Start,
    /// `docker restart`
    Restart,
    /// `docker compose rm --stop --force`
    Remove,
}

/// A project in a world. What fails panics with what was seen.
pub trait World: Sized {
    /// A project that nothing was done with yet, and nobody who looks after it.
    fn new(scenario: &str, stack: &Stack) -> Self;

    /// A fresh value that must appear nowhere but where it belongs.
    fn value(&mut self, name: &str) -> String;

    /// Puts a value into the built-in store.
    fn store(&mut self, name: &str, value: &str);

    /// `docker compose up -d`; whether it went well.
    fn try_up(&mut self) -> bool;

    /// Does something to all containers.
    fn compose(&mut self, what: Compose);

    /// Does something to the container of a service.
    fn by_hand(&self, what: Hand, service: &str);

    /// Stops the anchors, as a reboot does.
    fn stop_anchors(&self);

    /// Removes the anchors, whatever they do.
    fn remove_anchors(&self);

    /// Restarts the engine.
    fn restart_engine(&self);

    /// A controller starts, and answers.
    fn start_controller(&mut self);

    /// The controller is killed.
    fn kill_controller(&mut self);

    /// `docker locket apply`
    fn apply(&self);

    /// `docker locket refresh`
    fn refresh(&self);

    /// The container of a service.
    fn find(&self, service: &str) -> Option<Found>;

    /// How often the application in it was started.
    fn starts(&self, service: &str) -> usize;

    /// A variable of the application's own process; nothing before it runs.
    fn env(&self, service: &str, name: &str) -> Option<String>;

    /// Runs one of the tools in a container: its exit code, and what it prints.
    fn exec(&self, service: &str, argv: &[&str]) -> (i64, String);

    /// Writes something else into a file of a service's secrets, behind everybody's back.
    fn spoil(&self, service: &str, file: &str, text: &str);

    /// The names of the anchors that run.
    fn anchors(&self) -> Vec<String>;

    /// What of the project is on the engine.
    fn left(&self) -> Vec<String>;

    /// A condition of the project or of a service: status, reason, message.
    fn condition(&self, service: Option<&str>, kind: &str) -> Option<(bool, String, String)>;

    /// Waits until everything is delivered and runs with what it should.
    fn ready(&self);

    /// Looks again and again until there is something, at most for so many seconds.
    fn eventually<T>(&self, seconds: u64, what: &str, look: impl FnMut(&Self) -> Option<T>) -> T;

    /// Looks again and again for at least so many seconds: it must hold the whole time.
    fn holds(&self, seconds: u64, what: &str, look: impl FnMut(&Self) -> bool);

    /// Lets time pass where the moment of what comes next is chosen at will.
    fn pass_time(&self, millis: u64);

    /// What is asked of the engine while this runs, in the words of [`changes`]. Without a controller, who has a way of its own.
    fn changes(&mut self, run: impl FnOnce(&mut Self)) -> Vec<String>;

    /// Ends a scenario in which all was well.
    fn finish(self);

    /// The container of a service, which is there.
    fn container(&self, service: &str) -> Found {
        let found = self.find(service);
        found.unwrap_or_else(|| panic!("{service} has no container"))
    }

    /// A file of a service's secrets.
    fn file(&self, service: &str, name: &str) -> Option<String> {
        let path = format!("/run/secrets/{name}");
        let (code, text) = self.exec(service, &["cat", &path]);
        (code == 0).then_some(text)
    }

    /// `docker compose up -d`, which goes well.
    fn up(&mut self) {
        assert!(self.try_up(), "up has failed");
    }

    /// Waits until the application of a service has this value in a variable.
    fn until_env(&self, service: &str, name: &str, value: &str) {
        let what = format!("{service} runs with the expected {name}");
        self.eventually(60, &what, |w| {
            (w.env(service, name)? == value).then_some(())
        });
    }

    /// Waits until the container of a service is healthy.
    fn until_healthy(&self, service: &str) {
        self.eventually(60, &format!("{service} is healthy"), |w| {
            (w.container(service).health == "healthy").then_some(())
        });
    }
}
