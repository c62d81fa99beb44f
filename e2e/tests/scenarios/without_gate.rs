//! Containers that no gate prepares: those of `docker run`, and of compose where the plugin is not.
//! No twin on the fake engine: it is about what the docker CLI and compose make of flags and files.

use locket_e2e::{Container, Project, eventually, holds};

/// A container of `docker run`. What is left of it goes with it, also after a panic.
struct Alone<'a> {
    project: &'a Project,
    name: String,
}

impl<'a> Alone<'a> {
    fn new(project: &'a Project, name: &str) -> Self {
        let name = format!("{}-{name}", project.name());
        Self { project, name }
    }

    /// The project that it is looked after as.
    fn key(&self) -> String {
        format!("run.{}", self.name)
    }

    /// As people do it: a shell expands what `run-args` prints.
    fn run(&self, flags: &[&str]) {
        let script = r#"name=$1; shift; exec docker run -d --name "$name" --stop-signal KILL $(docker locket run-args "$name" "$@") locket-test/busybox sleep 86400"#;
        self.project
            .shell(script, &[&[&*self.name], flags].concat())
            .ok();
    }

    fn container(&self) -> Option<Container> {
        self.project.named(&self.name)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.container()?.read(&format!("/run/secrets/{name}"))
    }

    fn condition(&self, kind: &str) -> Option<(bool, String, String)> {
        self.project.condition_of(&self.key(), kind)
    }

    /// Anchors and volumes that are there for it.
    fn left(&self) -> Vec<String> {
        let lists = [
            ["ps", "-a", "--format", "{{.Names}}"],
            ["volume", "ls", "--format", "{{.Name}}"],
        ];
        let all = lists.map(|list| self.project.docker(&list).ok().text());
        let names = all.iter().flat_map(|text| text.lines());
        let key = self.key();
        names
            .filter(|it| it.contains(&key))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let p = self.project;
        let _ = p.docker(&["rm", "-f", &self.name]).any();
        let _ = p.locket(&["trust", "--revoke", &self.key()]).any();
        for it in self.left() {
            let _ = p.docker(&["rm", "-f", &it]).any();
            let _ = p.docker(&["volume", "rm", &it]).any();
        }
    }
}

/// The folder's own project is not needed for these.
const NOBODY: &str = "services: { nobody: { image: locket-test/busybox, pull_policy: never } }\n";

#[test]
fn a_container_of_docker_run_is_looked_after_as_a_service_is() {
    let mut p = Project::new("run", NOBODY);
    let (first, second) = (p.canary("first"), p.canary("second"));
    let db = format!("/{}-db", p.name());
    p.store(&db, &first);
    let controller = p.controller(&[]);
    p.write("app.conf", "pass = {{ db }}\n  spaces and * stay\n");
    {
        let web = Alone::new(&p, "web");
        web.run(&[
            "--secret",
            &format!("db=local:{db}"),
            "--env",
            "URL=x://{{ db | urlencode }}@db/a b?c=*",
            "--template",
            "app.conf=app.conf",
        ]);
        let (_, reason, message) = eventually(20, "that it needs a grant is told", || {
            web.condition("SourceReady").filter(|(status, ..)| !status)
        });
        assert_eq!(reason, "NotGranted");
        let line = format!("project: {:?}", web.key());
        assert!(
            message.contains("grants:") && message.contains(&line),
            "{message}"
        );
        assert_eq!(web.read("db"), None, "nothing is delivered");

        p.locket(&["trust", "-p", &web.key(), "--yes"]).ok();
        let file = eventually(20, "it arrives", || web.read("db"));
        assert_eq!(file, first.as_bytes());
        let it = web.container().unwrap();
        let url = |value: &str| format!("x://{value}@db/a b?c=*").into_bytes();
        eventually(10, "the shim lets the program start", || {
            (it.env("URL")? == url(&first)).then_some(())
        });
        let conf = String::from_utf8(web.read("app.conf").unwrap()).unwrap();
        assert_eq!(conf, format!("pass = {first}\n  spaces and * stay\n"));
        let shown = p.docker(&["exec", &web.name, "env"]).ok().text();
        assert!(!shown.contains("URL="), "{shown}");

        p.locket(&["secret", "set", &db]).stdin(&second).ok();
        eventually(30, "a change restarts it", || {
            (web.container()?.env("URL")? == url(&second)).then_some(())
        });
        let now = web.container().unwrap();
        assert_eq!(now.id, it.id);
        assert_ne!(now.started_at, it.started_at);
        let words = ["wait", "-p", &web.key(), "--for=Ready", "--timeout", "30s"];
        p.locket(&words).ok();
        let why = p
            .locket(&["explain", "-p", &web.key(), &web.name])
            .ok()
            .text();
        assert!(why.contains("changed"), "{why}");

        p.docker(&["stop", &web.name]).ok();
        holds(6, "what somebody has stopped stays so", || {
            !web.container().unwrap().running()
        });
        p.docker(&["rm", &web.name]).ok();
        eventually(90, "nothing is left of it", || {
            web.left().is_empty().then_some(())
        });
    }
    controller.stop();
    p.finish();
}

const LABELS: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key, more: local:more }
services:
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    x-locket: { secrets: [key], env: { KEY: "$$ {{ key }}" } }
  plain: { image: locket-test/busybox, pull_policy: never, command: [sleep, "86400"], stop_signal: SIGKILL }
"#;

#[test]
fn compose_without_the_plugin_and_without_a_gate_is_served_by_labels() {
    let mut p = Project::new("labels", LABELS);
    let (first, second, more) = (p.canary("first"), p.canary("second"), p.canary("more"));
    p.store("key", &first);
    p.store("more", &more);
    let controller = p.controller(&[]);
    let generate = || p.locket(&["generate", "--labels"]).ok();
    // Compose in a container of its own has no plugin of ours.
    let none = p.dir().join("no-plugins");
    std::fs::create_dir(&none).unwrap();
    let bare = |args: &[&str]| p.compose(args).env("DOCKER_CONFIG", &none);
    assert_ne!(
        p.docker(&["locket", "status"])
            .env("DOCKER_CONFIG", &none)
            .any()
            .code,
        0
    );
    generate();
    p.locket(&["generate", "--labels", "--check"]).ok();
    let said = p.locket(&["check"]).ok().all();
    assert!(
        said.contains("1 of 2 services use secrets; 1 warning"),
        "{said}"
    );
    bare(&["up", "-d"]).ok();
    let env = |value: &str| format!("$ {value}").into_bytes();
    eventually(30, "the first values arrive", || {
        (p.container("app").env("KEY")? == env(&first)).then_some(())
    });
    p.ready();
    let it = p.container("app");
    assert_eq!(it.read("/run/secrets/key").unwrap(), first.as_bytes());
    let plain = p.container("plain");
    bare(&["up", "-d"]).ok();
    assert_eq!(p.container("app"), it, "an unchanged `up` changes nothing");

    p.locket(&["secret", "set", "key"]).stdin(&second).ok();
    eventually(30, "a change restarts it", || {
        (p.container("app").env("KEY")? == env(&second)).then_some(())
    });
    assert_eq!(p.container("app").id, it.id);
    p.ready();

    // Other labels are another container, and another spec.
    p.edit("compose.yaml", "secrets: [key]", "secrets: [key, more]");
    generate();
    bare(&["up", "-d"]).ok();
    assert_ne!(p.container("app").id, it.id);
    eventually(30, "the new secret arrives", || {
        (p.container("app").read("/run/secrets/more")? == more.as_bytes()).then_some(())
    });
    p.ready();
    assert_eq!(p.container("plain"), plain);

    // A label that cannot be read leaves everything as it is, and is told with its container.
    let file = std::fs::read_to_string(p.dir().join("compose.override.yaml")).unwrap();
    p.write(
        "compose.override.yaml",
        file.replace("local:key", "nowhere:key"),
    );
    bare(&["up", "-d"]).ok();
    let (_, reason, message) = eventually(30, "the label is named", || {
        p.condition(Some("app"), "Resolved")
            .filter(|(status, ..)| !status)
    });
    assert_eq!(reason, "Invalid");
    assert!(message.contains("-app-1: label locket.spec"), "{message}");
    assert_eq!(
        p.container("app").read("/run/secrets/key").unwrap(),
        second.as_bytes()
    );

    bare(&["down", "-v", "--timeout", "1"]).ok();
    eventually(90, "nothing is left of it", || {
        p.left().is_empty().then_some(())
    });
    controller.stop();
    p.finish();
}

#[test]
fn labels_of_an_image_are_nobody_s_word() {
    let mut p = Project::new("imagelabels", NOBODY);
    let key = p.canary("key");
    p.store(&format!("run.{}-evil/key", p.name()), &key);
    let controller = p.controller(&[]);
    {
        let evil = Alone::new(&p, "evil");
        let flags = p
            .locket(&["run-args", &evil.name, "--secret", "local:key"])
            .ok()
            .text();
        let (labels, mounts): (Vec<&str>, Vec<&str>) =
            flags.lines().partition(|flag| flag.starts_with("--label="));
        let image = format!("{}-image", p.name());
        let made = p.docker(&["create", "locket-test/busybox"]);
        let made = made.ok().text();
        let changes: Vec<String> = labels
            .iter()
            .map(|flag| flag.trim_start_matches("--label="))
            .map(|label| label.split_once('=').unwrap())
            .map(|(name, value)| format!("--change=LABEL {name}={value:?}"))
            .collect();
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        p.docker(&[&["commit"], &changes[..], &[&made, &image]].concat())
            .ok();
        p.docker(&["rm", &made]).ok();
        let run = ["run", "-d", "--name", &evil.name, "--stop-signal", "KILL"];
        p.docker(&[&run, &mounts[..], &[&image], &["sleep", "86400"]].concat())
            .ok();
        holds(5, "it gets nothing", || {
            evil.condition("Ready").is_none() && evil.left().len() == 1
        });
        p.docker(&["rm", "-f", &evil.name]).ok();
        p.docker(&["rmi", "-f", &image]).ok();
    }
    controller.stop();
    p.finish();
}
