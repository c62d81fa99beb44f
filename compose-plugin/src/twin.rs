//! Two folders with one project name: to compose they are one project, and what was applied last counts.

use std::path::Path;

use crate::compose::files;

/// Whether a project that is here was applied from another folder of this machine, which has a compose file of its own. One that was
/// moved, or that a machine elsewhere has, is no twin.
pub fn is_one(applied_from: &str, here: &Path) -> bool {
    let there = Path::new(applied_from);
    // One folder may have two names.
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    there.is_absolute() && files::has_one(there) && real(there) != real(here)
}

/// What is said when what was applied from elsewhere gives way to what is here.
pub fn replaced(applied_from: Option<&str>, here: &Path) -> Option<String> {
    let there = applied_from.filter(|there| is_one(there, here))?;
    Some(format!(
        "until now this project was applied from {there}: for compose both folders are one project, and the last one counts; if they are two, give one of them another name (`name:` in its compose file, or `-p`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_compose_file_of_its_own_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["here", "there", "empty"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        for name in ["here/compose.yaml", "there/docker-compose.yml"] {
            std::fs::write(path(name), "").unwrap();
        }
        std::os::unix::fs::symlink(path("here"), path("link")).unwrap();
        let told = |from: &str| replaced(Some(&path(from).display().to_string()), &path("here"));
        assert!(told("there").unwrap().contains("/there: "));
        for none in ["here", "link", "empty", "moved"] {
            assert_eq!(told(none), None, "{none}");
        }
        assert_eq!(replaced(None, &path("here")), None);
        // What labels say has no folder.
        assert_eq!(replaced(Some(""), &path("here")), None);
    }
}
