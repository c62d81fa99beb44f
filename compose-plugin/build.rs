//! Puts the committed schemas into the program without the white space, which is half of them.
#![allow(
    clippy::disallowed_methods,
    reason = "a build script gets its world from the environment and leaves a file"
)]

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::var("OUT_DIR")?;
    for name in ["compose", "config", "x-locket"] {
        let path = format!("../docs/schema/{name}.json");
        println!("cargo::rerun-if-changed={path}");
        let schema: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        std::fs::write(
            Path::new(&out).join(format!("{name}.json")),
            schema.to_string(),
        )?;
    }
    Ok(())
}
