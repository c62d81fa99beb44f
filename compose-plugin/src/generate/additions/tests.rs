use locket_crds::compose::{ModelInput, compile};
use locket_crds::text::Text;

use super::*;

fn spec(service: &str) -> ProjectSpec {
    let model = format!("name: p\nservices:\n  api:\n    image: x\n{service}");
    let (spec, problems) = compile(&ModelInput {
        model_yaml: &model,
        sources: &[Text::new("compose.yaml", model.as_str())],
        working_dir: "/p",
        read_template: &|_| Err("no".to_owned()),
    });
    spec.unwrap_or_else(|| panic!("{problems:?}"))
}

fn raw(it: RawService) -> Raw {
    Raw {
        services: [("api".to_owned(), it)].into(),
    }
}

fn of(service: &str, written: RawService) -> Option<Service> {
    additions(&spec(service), &raw(written), &BTreeMap::new())
        .services
        .remove("api")
}

const ENV: &str = "    x-locket: { env: { A: \"local:a\" } }\n";

#[test]
fn the_shim_is_told_only_what_differs_from_its_defaults() {
    let shim = |service: &str, shim: Option<&str>| {
        let written = RawService {
            shim: shim.map(str::to_owned),
            ..RawService::default()
        };
        of(service, written).unwrap().shim
    };
    assert_eq!(shim(ENV, None), None);
    assert_eq!(
        shim(&format!("    init: true\n{ENV}"), None).as_deref(),
        Some("init=reap")
    );
    let path = "    x-locket: { secrets: [\"local:a\"], path: /etc/app }\n";
    assert_eq!(shim(path, None).as_deref(), Some("path=/etc/app"));
    assert_eq!(
        shim(&format!("    init: true\n{path}"), None).as_deref(),
        Some("path=/etc/app;init=reap")
    );
    // With our program mounted there already, `init: true` may be there on our behalf: what it was before is in LOCKET_SHIM.
    let mount = "    volumes: [{ type: volume, source: locket, target: /sbin/docker-init }]\n";
    assert_eq!(shim(&format!("    init: true\n{mount}{ENV}"), None), None);
    assert_eq!(
        shim(&format!("    init: true\n{mount}{ENV}"), Some("init=reap")).as_deref(),
        Some("init=reap")
    );
}

#[test]
fn healthchecks_are_wrapped_where_env_is_used() {
    let test = |service: &str, words: &[&str]| {
        let test = words.iter().map(|w| (*w).to_owned()).collect();
        let check = of(
            service,
            RawService {
                test,
                ..RawService::default()
            },
        )
        .unwrap()
        .check;
        check.map(|c| c.test.join(" "))
    };
    assert_eq!(
        test(ENV, &["CMD", "a", "$$b"]).unwrap(),
        "CMD /sbin/docker-init with-env -- a $$b"
    );
    assert_eq!(
        test(ENV, &["CMD-SHELL", "a || b"]).unwrap(),
        "CMD /sbin/docker-init with-env -- /bin/sh -c a || b"
    );
    assert_eq!(
        test(ENV, &["CMD", INIT, "with-env", "--", "a"]),
        None,
        "it is wrapped already"
    );
    assert_eq!(test(ENV, &[]), None);
    let files = "    x-locket: [\"local:a\"]\n";
    assert_eq!(
        test(files, &["CMD", "a"]),
        None,
        "files are there for everybody"
    );
}

#[test]
fn the_check_of_an_image_is_wrapped_unless_the_service_has_its_own() {
    let image = ImageCheck {
        name: "x".to_owned(),
        id: "sha256:1".to_owned(),
        test: ["CMD-SHELL", "test $A"].map(str::to_owned).to_vec(),
    };
    let images = [("api".to_owned(), image)].into();
    let check = |it: RawService| {
        additions(&spec(ENV), &raw(it), &images).services["api"]
            .check
            .clone()
    };
    let found = check(RawService::default()).unwrap();
    assert_eq!(
        found.test.join(" "),
        "CMD /sbin/docker-init with-env -- /bin/sh -c test $$A"
    );
    assert_eq!(found.image, Some(("x".to_owned(), "sha256:1".to_owned())));
    assert_eq!(
        check(RawService {
            unchecked: true,
            ..RawService::default()
        }),
        None
    );
    let own = RawService {
        test: vec!["CMD".to_owned(), "b".to_owned()],
        ..RawService::default()
    };
    assert_eq!(check(own).unwrap().image, None);
}

#[test]
fn a_service_with_nothing_for_its_volume_gets_none() {
    assert_eq!(
        of("    x-locket: { on_change: none }\n", RawService::default()),
        None
    );
    assert_eq!(of("    user: a\n", RawService::default()), None);
    let visible = "    x-locket: { env: { A: { secret: \"local:a\", via: compose } } }\n";
    assert_eq!(of(visible, RawService::default()), None);
}
