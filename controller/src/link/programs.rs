//! Which programs a project has seen: its anchors and its shim are known by them, and which of two is the newer.

use serde::{Deserialize, Serialize};

use crate::Host;

/// Programs that are kept: some versions back.
const KEPT: usize = 16;

/// What the project volume remembers, the last one first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Programs(Vec<Program>);

/// One program that has worked on the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Program {
    /// The layer digest of its image, `sha256:…`.
    layer: String,
    /// Its own SHA-256, as hexadecimal digits: the shim is this same program.
    sha256: String,
    /// Its version: `1.4.0`.
    version: String,
}

impl Programs {
    /// The layer digests of all of them.
    pub(super) fn layers(&self) -> Vec<String> {
        self.0.iter().map(|it| it.layer.clone()).collect()
    }

    /// Writes this program down; whether it is new here.
    pub(super) fn remember(&mut self, host: &Host) -> bool {
        let it = Program {
            layer: host.binary.layer().to_owned(),
            sha256: hex::encode(host.binary.sha256()),
            version: host.version().to_owned(),
        };
        if self.0.contains(&it) {
            return false;
        }
        self.0.insert(0, it);
        self.0.truncate(KEPT);
        true
    }

    /// Whether an image of this layer holds a newer program than this one.
    pub(super) fn is_newer_image(&self, layer: &str, host: &Host) -> bool {
        let mut all = self.0.iter();
        all.any(|it| it.layer == layer && is_newer(&it.version, host.version()))
    }

    /// Whether the shim of this digest is a newer program than this one.
    pub(super) fn is_newer_shim(&self, sha256: &[u8; 32], host: &Host) -> bool {
        let sha256 = hex::encode(sha256);
        let mut all = self.0.iter();
        all.any(|it| it.sha256 == sha256 && is_newer(&it.version, host.version()))
    }
}

/// Whether one version comes after another. Of one that cannot be read nothing is said: neither comes after the other.
fn is_newer(one: &str, other: &str) -> bool {
    matches!((order(one), order(other)), (Some(one), Some(other)) if one > other)
}

/// Major, minor, patch, and whether it is a release: what is before one comes before it (<https://semver.org/#spec-item-11>).
/// Pre-releases of one release are not told apart.
fn order(version: &str) -> Option<([u64; 3], bool)> {
    let version = version.split('+').next()?;
    let (numbers, is_release) = match version.split_once('-') {
        Some((numbers, _)) => (numbers, false),
        None => (version, true),
    };
    let numbers: Result<Vec<u64>, _> = numbers.split('.').map(str::parse).collect();
    Some((numbers.ok()?.try_into().ok()?, is_release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_only_where_they_are_versions() {
        for (one, other) in [
            ("0.2.0", "0.1.9"),
            ("0.10.0", "0.9.0"),
            ("1.0.0", "1.0.0-rc.1"),
            ("1.0.1-rc.1", "1.0.0"),
        ] {
            assert!(is_newer(one, other), "{one} {other}");
            assert!(!is_newer(other, one), "{other} {one}");
        }
        for same in [
            ("1.0.0", "1.0.0"),
            ("1.0.0+a", "1.0.0+b"),
            ("test", "1.0.0"),
            ("1.0.0", "1.0"),
        ] {
            assert!(!is_newer(same.0, same.1) && !is_newer(same.1, same.0));
        }
    }
}
