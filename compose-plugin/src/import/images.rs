//! Images whose entrypoint reads `NAME_FILE` where it would read `NAME`, as their own documentation says.

/// One image.
struct Image {
    /// Its name without registry and tag.
    name: &'static str,
    /// Variables that may be given as a file.
    variables: &'static [&'static str],
}

/// Official images, with the page that says so. All of these values are read at the first start only, when the database is made.
const IMAGES: [Image; 5] = [
    // https://github.com/docker-library/docs/tree/master/postgres#docker-secrets
    Image {
        name: "postgres",
        variables: &["POSTGRES_PASSWORD"],
    },
    // https://github.com/docker-library/docs/tree/master/mysql#docker-secrets
    Image {
        name: "mysql",
        variables: &["MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD"],
    },
    // https://github.com/docker-library/docs/tree/master/mariadb#docker-secrets
    Image {
        name: "mariadb",
        variables: &[
            "MARIADB_ROOT_PASSWORD",
            "MARIADB_PASSWORD",
            "MYSQL_ROOT_PASSWORD",
            "MYSQL_PASSWORD",
        ],
    },
    // https://github.com/docker-library/docs/tree/master/mongo#docker-secrets
    Image {
        name: "mongo",
        variables: &["MONGO_INITDB_ROOT_PASSWORD"],
    },
    // https://github.com/postgis/docker-postgis#usage: its entrypoint is that of postgres.
    Image {
        name: "postgis/postgis",
        variables: &["POSTGRES_PASSWORD"],
    },
];

/// Whether an image takes this variable from the file that `NAME_FILE` names.
pub fn reads_file(image: &str, variable: &str) -> bool {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let image = image.strip_prefix("library/").unwrap_or(image);
    let name = image.split('@').next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    IMAGES
        .iter()
        .any(|it| it.name == name && it.variables.contains(&variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_that_are_known_by_name_do() {
        for (image, variable, expected) in [
            ("postgres", "POSTGRES_PASSWORD", true),
            ("postgres:17-alpine", "POSTGRES_PASSWORD", true),
            (
                "docker.io/library/postgres@sha256:00",
                "POSTGRES_PASSWORD",
                true,
            ),
            ("postgis/postgis:17", "POSTGRES_PASSWORD", true),
            ("mariadb:11", "MYSQL_PASSWORD", true),
            ("mysql", "MYSQL_PASSWORD", true),
            ("postgres", "PGPASSWORD", false),
            ("ghcr.io/me/postgres", "POSTGRES_PASSWORD", false),
            ("bitnami/postgresql", "POSTGRES_PASSWORD", false),
            ("", "POSTGRES_PASSWORD", false),
        ] {
            assert_eq!(reads_file(image, variable), expected, "{image} {variable}");
        }
    }
}
