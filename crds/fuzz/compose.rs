use crate::compose::{ModelInput, compile};
use crate::resolve;
use crate::text::Text;
use crate::yaml::{Node, Value, document};

/// What `${VALUE}` becomes in compose's model. Whoever wrote the file knows the variable's name; its value is nobody's business.
const CANARY: &str = "c4n4ryv4lu3";

fn read(bytes: &[u8]) -> bool {
    let text = super::text(bytes);
    let model = text.replace("${VALUE}", CANARY);
    let files = [Text::new("compose.yaml", text)];
    let input = ModelInput {
        model_yaml: &model,
        sources: &files,
        working_dir: "/srv/shop",
        read_template: &|path| match path {
            "./a.tpl" => Ok(vec![(String::new(), "{{ db }} {{ oops".to_owned())]),
            _ => Err("no such file".to_owned()),
        },
    };
    let (spec, problems) = compile(&input);
    let all = super::shown(&problems, &files);
    // Compose replaces no variable in a key, and what the file itself says is shown.
    let known = files[0].text().contains(CANARY);
    if !known && !document(&model).is_ok_and(|it| in_key(&it)) {
        assert!(!all.contains(CANARY), "{all}");
    }
    assert_eq!(spec.is_none(), problems.iter().any(|it| it.is_error()));
    let Some(spec) = spec else {
        return false;
    };
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::spec::ProjectSpec>(&json).unwrap(),
        spec
    );
    let (_, problems) = resolve(&spec);
    super::shown(&problems, &files);
    true
}

fn in_key(node: &Node) -> bool {
    match &node.value {
        Value::List(all) => all.iter().any(in_key),
        Value::Map(all) => all
            .iter()
            .any(|e| e.key.as_deref().is_none_or(|k| k.contains(CANARY)) || in_key(&e.node)),
        _ => false,
    }
}

locket_fuzz::target!(compose, reach: 5, read);
