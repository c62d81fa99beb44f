//! The file itself, and what it names beside services.

use super::Part;

#[rustfmt::skip] // A table.
pub(super) const FILE: Part = Part {
    name: "file",
    text: "A compose file with x-locket.",
    required: &[],
    null: false,
    rows: &[
        ("version", "text", "Without a meaning today; leave it out.", "\"3.8\""),
        ("name", "text", "The name of the project; default: that of its directory.", "shop"),
        ("include", "[text|#include]", "Other compose files that belong to the project.", "[./db/compose.yaml]"),
        ("services", "{#service}", "The services, by name.", "{ db: { image: \"postgres:17\" } }"),
        ("models", "{#model}", "Models that services use, by name.", "{ llm: { model: ai/smollm2 } }"),
        ("networks", "{#network}", "Networks, by name.", "{ back: { internal: true } }"),
        ("volumes", "{#volume}", "Named volumes.", "{ data: { labels: { backup: daily } } }"),
        ("secrets", "{#secret}", "Compose's own secrets, by name. Those of locket stand in `x-locket`.", "{ cert: { file: ./cert.pem } }"),
        ("configs", "{#config}", "Configs, by name.", "{ app: { file: ./app.toml } }"),
    ],
};

#[rustfmt::skip] // A table.
pub(super) const PARTS: &[Part] = &[
    Part {
        name: "include",
        text: "Compose files that belong to the project.",
        required: &[],
        null: false,
        rows: &[
            ("path", "text|[text]", "The file, or files that are merged.", "./db/compose.yaml"),
            ("env_file", "text|[text]", "Files with variables for its interpolation.", "./db/.env"),
            ("project_directory", "text", "What its relative paths are relative to.", "./db"),
        ],
    },
    Part {
        name: "model",
        text: "A model that services use.",
        required: &["model"],
        null: false,
        rows: &[
            ("name", "text", "A name of its own.", "llm"),
            ("model", "text", "The artifact that it is.", "ai/smollm2"),
            ("context_size", "int", "Most tokens of its context.", "4096"),
            ("runtime_flags", "[text]", "Flags of what runs it.", "[--no-mmap]"),
        ],
    },
    Part {
        name: "network",
        text: "A network.",
        required: &[],
        null: true,
        rows: &[
            ("name", "text", "A name of its own, without the project's in front.", "shared"),
            ("attachable", "flag", "Whether other containers may join.", "true"),
            ("driver", "text", "The driver.", "bridge"),
            ("driver_opts", "{text|number}", "Options of the driver.", "{ com.docker.network.bridge.name: br-shop }"),
            ("enable_ipv4", "flag", "Whether it has IPv4.", "true"),
            ("enable_ipv6", "flag", "Whether it has IPv6.", "true"),
            ("external", "flag|#external", "Whether it is there already, and whose it is.", "true"),
            ("internal", "flag", "Whether it leads nowhere else.", "true"),
            ("ipam", "#ipam", "Its addresses.", "{ config: [{ subnet: 172.28.0.0/16 }] }"),
            ("labels", "pairs", "Metadata of the network.", "{ com.example.team: shop }"),
        ],
    },
    Part {
        name: "external",
        text: "Something that is there already.",
        required: &[],
        null: false,
        rows: &[("name", "text", "Its name; write `name` beside `external` instead.", "shared")],
    },
    Part {
        name: "ipam",
        text: "The addresses of a network.",
        required: &[],
        null: false,
        rows: &[
            ("driver", "text", "Who gives them out.", "default"),
            ("config", "[#subnet]", "Its subnets.", "[{ subnet: 172.28.0.0/16 }]"),
            ("options", "{text}", "Options of the driver.", "{ foo: bar }"),
        ],
    },
    Part {
        name: "subnet",
        text: "A subnet.",
        required: &[],
        null: false,
        rows: &[
            ("subnet", "text", "All of it.", "172.28.0.0/16"),
            ("ip_range", "text", "Where addresses are taken from.", "172.28.5.0/24"),
            ("gateway", "text", "The gateway.", "172.28.5.254"),
            ("aux_addresses", "{text}", "Addresses that are in use elsewhere.", "{ router: 172.28.1.5 }"),
        ],
    },
    Part {
        name: "volume",
        text: "A named volume.",
        required: &[],
        null: true,
        rows: &[
            ("name", "text", "A name of its own, without the project's in front.", "shared-data"),
            ("driver", "text", "The driver.", "local"),
            ("driver_opts", "{text|number}", "Options of the driver.", "{ type: tmpfs, device: tmpfs }"),
            ("external", "flag|#external", "Whether it is there already, and whose it is.", "true"),
            ("labels", "pairs", "Metadata of the volume.", "{ backup: daily }"),
        ],
    },
    Part {
        name: "secret",
        text: "A secret of compose's own.",
        required: &[],
        null: false,
        rows: &[
            ("name", "text", "A name of its own.", "shop-cert"),
            ("environment", "text", "The variable that holds it.", "CERT"),
            ("file", "text", "The file that holds it.", "./cert.pem"),
            ("external", "flag|#external", "Whether it is there already, and whose it is.", "true"),
            ("labels", "pairs", "Metadata of the secret.", "{ com.example.team: shop }"),
            ("driver", "text", "Who keeps it.", "custom"),
            ("driver_opts", "{text|number}", "Options of the driver.", "{ path: shop/cert }"),
            ("template_driver", "text", "Who fills in templates in it.", "golang"),
        ],
    },
    Part {
        name: "config",
        text: "A config.",
        required: &[],
        null: false,
        rows: &[
            ("name", "text", "A name of its own.", "shop-app"),
            ("content", "text", "The text itself.", "\"debug = true\""),
            ("environment", "text", "The variable that holds it.", "APP_CONFIG"),
            ("file", "text", "The file that holds it.", "./app.toml"),
            ("external", "flag|#external", "Whether it is there already, and whose it is.", "true"),
            ("labels", "pairs", "Metadata of the config.", "{ com.example.team: shop }"),
            ("template_driver", "text", "Who fills in templates in it.", "golang"),
        ],
    },
];
