//! The engine that is looked after, and the program that runs in our own containers on it.

use locket_engine::Engine;
use tokio::sync::OnceCell;

use crate::own::Error;
use crate::own::image::Binary;

/// An engine, and our program for it.
pub struct Host {
    /// The engine.
    pub engine: Engine,
    /// The program; the same for anchor, store, controller and shim.
    pub binary: Binary,
    tag: String,
    image: OnceCell<String>,
}

impl Host {
    /// `version` becomes the image's tag, `locket:<version>`.
    pub fn new(engine: Engine, binary: Binary, version: &str) -> Self {
        Self {
            engine,
            binary,
            tag: format!("locket:{version}"),
            image: OnceCell::new(),
        }
    }

    /// The image's name, `locket:<version>`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The program's version.
    pub fn version(&self) -> &str {
        self.tag.split_once(':').map_or("", |(_, version)| version)
    }

    /// Makes sure that our image is on the engine; answers its id. Asks the engine once.
    ///
    /// # Errors
    /// When the engine runs another architecture, or refuses the import.
    pub async fn ensure_image(&self) -> Result<String, Error> {
        let made = self
            .image
            .get_or_try_init(|| self.binary.ensure_image(&self.engine, &self.tag))
            .await?;
        Ok(made.clone())
    }
}
