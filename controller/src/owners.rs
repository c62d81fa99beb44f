//! Who owns a delivered file: names are looked up in the service's own image, as the image means them.

use std::collections::HashMap;

use locket_crds::spec::{ComposeService, FileMode, Owner};
use locket_engine::{Container, CreateContainer, Engine, Status};
use tokio::sync::Mutex;

use crate::kept::keep;

/// What a container would run that is only read.
const NEVER_STARTED: [&str; 1] = ["/locket-never-started"];
/// Its role, as its label says.
pub(crate) const ROLE: &str = "accounts";
/// Largest `/etc/passwd` or `/etc/group` that is read, bytes.
const MAX: usize = 256 * 1024;
/// So often it is read if others are in the way.
const TRIES: u32 = 5;

/// Whether somebody was interrupted while reading an image: a container of the name, the image and the command that such a one
/// has, and never started.
pub(crate) fn is_left_behind(it: &Container) -> bool {
    it.name == name(&it.image_id) && it.cmd == NEVER_STARTED && it.state.status == Status::Created
}

/// Name of the container through which an image is read.
fn name(image: &str) -> String {
    let digest = image.trim_start_matches("sha256:");
    format!("locket-accounts-{}", digest.get(..12).unwrap_or(digest))
}

/// Why an owner is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine did not answer.
    #[error("the image {image} cannot be read")]
    Engine {
        /// The image.
        image: String,
        /// Its answer.
        #[source]
        source: locket_engine::Error,
    },
    /// Others read the same image, and were in the way every time.
    #[error("the image {image} cannot be read: others who read it are in the way")]
    Disturbed {
        /// The image.
        image: String,
    },
    /// The image knows no such name.
    #[error("the image {image} has no {what} {name}")]
    Unknown {
        /// The image.
        image: String,
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name was given, but there is no image to look it up in.
    #[error("{name} cannot be looked up: the image {image} is not on the engine yet")]
    NoImage {
        /// The image.
        image: String,
        /// The name.
        name: String,
    },
}

/// `/etc/passwd` and `/etc/group` of one image, and its default user.
#[derive(Debug, Clone, Default)]
struct Accounts {
    /// name → (uid, gid)
    users: HashMap<String, (u32, u32)>,
    /// uid → gid
    primary: HashMap<u32, u32>,
    groups: HashMap<String, u32>,
    default_user: String,
}

impl Accounts {
    fn parse(passwd: &str, group: &str, default_user: String) -> Self {
        let mut it = Self {
            default_user,
            ..Self::default()
        };
        for line in passwd.lines() {
            let field: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, ..] = field.as_slice()
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                it.users.entry((*name).to_owned()).or_insert((uid, gid));
                it.primary.entry(uid).or_insert(gid);
            }
        }
        for line in group.lines() {
            let field: Vec<&str> = line.split(':').collect();
            if let [name, _, gid, ..] = field.as_slice()
                && let Ok(gid) = gid.parse()
            {
                it.groups.entry((*name).to_owned()).or_insert(gid);
            }
        }
        it
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        match name.parse::<u32>() {
            Ok(uid) => Some((uid, self.primary.get(&uid).copied().unwrap_or(0))),
            Err(_) => self.users.get(name).copied(),
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        name.parse().ok().or_else(|| self.groups.get(name).copied())
    }

    /// uid and gid that `user[:group]` runs as; an empty text is the image's own user, else root.
    fn service(&self, user: &str) -> Option<(u32, u32)> {
        let user = if user.is_empty() {
            self.default_user.as_str()
        } else {
            user
        };
        let (user, group) = user
            .split_once(':')
            .map_or((user, None), |(u, g)| (u, Some(g)));
        let (uid, gid) = if user.is_empty() {
            (0, 0)
        } else {
            self.user(user)?
        };
        Some((uid, group.map_or(Some(gid), |g| self.group(g))?))
    }
}

/// Looks owners up, once an image.
#[derive(Default)]
pub struct Owners {
    by_image: Mutex<HashMap<String, Accounts>>,
}

impl Owners {
    /// Uid, gid and permission bits of a file of a service, whose containers run this image (name or id).
    ///
    /// # Errors
    /// When a name is unknown in the service's image. Numbers never ask the engine.
    pub async fn resolve(
        &self,
        engine: &Engine,
        image: &str,
        service: &ComposeService,
        file: &FileMode,
    ) -> Result<(u32, u32, u32), Error> {
        let mode = file.mode.unwrap_or(0o444);
        let uid = match &file.uid {
            None => 0,
            Some(Owner::Id(id)) => *id,
            Some(Owner::Name(name)) => {
                self.of(engine, image, name, "user", |a| a.user(name).map(|u| u.0))
                    .await?
            }
            Some(Owner::Service) => self.as_service(engine, image, service).await?.0,
        };
        let gid = match &file.gid {
            // A file for the service's user is for its group too, unless somebody says otherwise.
            None if file.uid == Some(Owner::Service) => {
                self.as_service(engine, image, service).await?.1
            }
            None => 0,
            Some(Owner::Id(id)) => *id,
            Some(Owner::Name(name)) => {
                self.of(engine, image, name, "group", |a| a.group(name))
                    .await?
            }
            Some(Owner::Service) => self.as_service(engine, image, service).await?.1,
        };
        Ok((uid, gid, mode))
    }

    async fn as_service(
        &self,
        engine: &Engine,
        image: &str,
        service: &ComposeService,
    ) -> Result<(u32, u32), Error> {
        let user = service.user.clone().unwrap_or_default();
        // Two numbers need no image.
        if let Some((uid, gid)) = user.split_once(':')
            && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
        {
            return Ok((uid, gid));
        }
        self.of(engine, image, &user, "user", |a| a.service(&user))
            .await
    }

    async fn of<T>(
        &self,
        engine: &Engine,
        image: &str,
        name: &str,
        what: &'static str,
        find: impl FnOnce(&Accounts) -> Option<T>,
    ) -> Result<T, Error> {
        let failed = |source| Error::Engine {
            image: image.to_owned(),
            source,
        };
        let found = engine.image(image).await.map_err(failed)?;
        let found = found.ok_or_else(|| Error::NoImage {
            image: image.to_owned(),
            name: name.to_owned(),
        })?;
        let mut by_image = self.by_image.lock().await;
        if !by_image.contains_key(&found.id) {
            let accounts = read(engine, &found.id, found.user.clone())
                .await
                .map_err(failed)?;
            let accounts = accounts.ok_or_else(|| Error::Disturbed {
                image: image.to_owned(),
            })?;
            keep(&mut by_image, found.id.clone(), accounts);
        }
        let accounts = by_image.get(&found.id);
        accounts.and_then(find).ok_or_else(|| Error::Unknown {
            image: image.to_owned(),
            what,
            name: name.to_owned(),
        })
    }
}

/// Reads the account files through a container that is made and never started. Its name is the image's, so that one which was left
/// behind is used, and removed, by the next who asks. `None` if others were in the way, every time.
async fn read(
    engine: &Engine,
    image: &str,
    default_user: String,
) -> Result<Option<Accounts>, locket_engine::Error> {
    for _ in 0..TRIES {
        if let Some((passwd, group)) = read_once(engine, image).await? {
            return Ok(Some(Accounts::parse(
                &String::from_utf8_lossy(&passwd),
                &String::from_utf8_lossy(&group),
                default_user,
            )));
        }
    }
    Ok(None)
}

/// `/etc/passwd` and `/etc/group`, empty where the image has none; `None` if somebody else, who reads the same, removed the container
/// meanwhile.
async fn read_once(
    engine: &Engine,
    image: &str,
) -> Result<Option<(Vec<u8>, Vec<u8>)>, locket_engine::Error> {
    let name = name(image);
    let spec = CreateContainer {
        name: name.clone(),
        image: image.to_owned(),
        // An image without a command cannot be created without one; it is never run.
        cmd: Some(NEVER_STARTED.map(str::to_owned).to_vec()),
        labels: [(crate::own::ROLE.to_owned(), ROLE.to_owned())].into(),
        network_mode: Some("none".to_owned()),
        ..CreateContainer::default()
    };
    let id = match engine.create(&spec).await {
        Ok(id) => id,
        Err(e) if e.is_conflict() => match engine.inspect(&name).await? {
            Some(it) if it.image_id == image && it.cmd == NEVER_STARTED => it.id,
            _ => return Err(e),
        },
        Err(e) => return Err(e),
    };
    let files = async {
        let passwd = engine.read_file(&id, "/etc/passwd", MAX).await?;
        let group = engine.read_file(&id, "/etc/group", MAX).await?;
        Ok((passwd, group))
    }
    .await;
    let is_whole = match &files {
        Ok((Some(_), Some(_))) => true,
        // A file that is missing and a container that is missing look alike.
        _ => engine.inspect(&id).await?.is_some(),
    };
    match engine.remove(&id, true).await {
        // Somebody else does it.
        Err(e) if e.is_conflict() => {}
        other => other?,
    }
    if !is_whole {
        return Ok(None);
    }
    let (passwd, group) = files?;
    Ok(Some((
        passwd.unwrap_or_default(),
        group.unwrap_or_default(),
    )))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use locket_engine::fake::{Fake, FakeImage, Fault};

    use super::*;

    fn accounts(default_user: &str) -> Accounts {
        Accounts::parse(
            "root:x:0:0:::\napp:x:1000:1001:::\nbroken\n",
            "root:x:0:\nweb:x:33:\n",
            default_user.to_owned(),
        )
    }

    /// An engine with an image `app`, and the image's id.
    async fn with_app() -> (Fake, Engine, String) {
        let fake = Fake::new();
        let passwd = [("/etc/passwd".to_owned(), b"app:x:7:8:::\n".to_vec())];
        let image = FakeImage {
            files: passwd.into(),
            ..FakeImage::default()
        };
        fake.add_image("app", image);
        let engine = fake.connect().await.unwrap();
        let id = engine.image("app").await.unwrap().unwrap().id;
        (fake, engine, id)
    }

    #[tokio::test]
    async fn a_lookup_that_was_killed_leaves_nothing_for_long() {
        let (_fake, engine, id) = with_app().await;
        let owners = Owners::default();
        let file = FileMode {
            uid: Some(Owner::Name("app".into())),
            ..FileMode::default()
        };
        let service = ComposeService::default();
        let left = async || engine.containers(&[crate::own::ROLE]).await.unwrap().len();
        let mut killed = tokio::spawn({
            let (engine, id) = (engine.clone(), id.clone());
            async move { read(&engine, &id, String::new()).await }
        });
        while left().await == 0 && !killed.is_finished() {
            tokio::task::yield_now().await;
        }
        killed.abort();
        let _ = (&mut killed).await;
        let found = owners.resolve(&engine, "app", &service, &file).await;
        assert_eq!(found.unwrap(), (7, 0, 0o444));
        assert_eq!(left().await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slower_than_another_who_reads_the_same_reads_again() {
        let (fake, engine, id) = with_app().await;
        let second = Duration::from_secs(1);
        fake.faults().on("passwd", Fault::Delay(second), 1);
        let reads = read(&engine, &id, "app".to_owned());
        let other = async {
            tokio::time::sleep(second / 2).await;
            for it in engine.containers(&[crate::own::ROLE]).await.unwrap() {
                engine.remove(&it.id, true).await.unwrap();
            }
        };
        let (found, ()) = tokio::join!(reads, other);
        assert_eq!(found.unwrap().unwrap().service(""), Some((7, 8)));
    }

    #[test]
    fn a_service_runs_as_compose_says_or_as_its_image_says() {
        let table = [
            ("", "", Some((0, 0))),
            ("", "app", Some((1000, 1001))),
            ("app", "root", Some((1000, 1001))),
        ];
        let more = [
            ("app:web", "", Some((1000, 33))),
            ("1000", "", Some((1000, 1001))),
            ("7:8", "", Some((7, 8))),
        ];
        for (user, image, want) in table
            .into_iter()
            .chain(more)
            .chain([("7", "", Some((7, 0))), ("nobody", "", None)])
        {
            assert_eq!(
                accounts(image).service(user),
                want,
                "user {user:?}, image {image:?}"
            );
        }
    }
}
