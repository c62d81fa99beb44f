//! `locket.spec`: what one service asks for, as a small compose file in one label.

use serde_json::{Map, Value, json};

use super::SPEC_SERVICES;
use crate::compose::X;
use crate::id::{SecretName, ServiceName};
use crate::spec::{
    AuthSpec, ChangeAction, Credential, Defaults, EnvValue, FileGrant, FileMode, OnChange, Operand,
    Owner, ProjectSpec, SecretSpec, ServiceSpec, SourceSpec, TemplateGrant, Update, Via,
};

/// The text of the label for a service: only what this service uses, so that the label, and with it the container, changes
/// with nothing else. `None` for a service that is given nothing.
///
/// Shape: a compose file in JSON on one line; of [`ProjectSpec`] everything that is about secrets, origins left out. Dollars
/// are doubled, as in any compose file.
pub fn write(spec: &ProjectSpec, service: &ServiceName) -> Option<String> {
    let asked = spec.services.get(service)?;
    let operands = operands(asked);
    let names = operands.iter().filter_map(|it| match it {
        Operand::Name(name) => Some(name),
        Operand::Ref(_) => None,
    });
    let used: Vec<(&SecretName, &SecretSpec)> = names
        .filter_map(|name| spec.secrets.get_key_value(name))
        .collect();
    let references = operands.iter().filter_map(|it| match it {
        Operand::Ref(reference) => Some(reference),
        Operand::Name(_) => None,
    });
    let references = references.chain(used.iter().map(|(_, it)| &it.reference));
    let sources = references.filter_map(|r| spec.sources.get_key_value(r.source()));
    let top = object([
        ("defaults", defaults(&spec.defaults)),
        (
            "secrets",
            all(used.iter().map(|(name, it)| (name.to_string(), secret(it)))),
        ),
        (
            "sources",
            all(sources.map(|(name, it)| (name.to_string(), source(it)))),
        ),
    ]);
    let own = Map::from_iter([(service.to_string(), json!({ X: self::service(asked) }))]);
    let mut text = object([(X, top), (SPEC_SERVICES, Value::Object(own))]);
    double(&mut text);
    Some(text.to_string())
}

/// Everything that a service names.
fn operands(it: &ServiceSpec) -> Vec<&Operand> {
    let files = it.secrets.iter().map(|grant| &grant.source);
    let templates = it.templates.iter().flat_map(|t| t.content.operands());
    let env = it.env.values().flat_map(|grant| match &grant.value {
        EnvValue::Secret(operand) => vec![operand],
        EnvValue::Template(template) => template.operands().collect(),
    });
    files.chain(templates).chain(env).collect()
}

fn service(it: &ServiceSpec) -> Value {
    let path = (it.path != ServiceSpec::PATH).then_some(&it.path);
    let env = it.env.iter().filter(|(_, grant)| grant.via == Via::Shim);
    object([
        (
            "env",
            all(env.map(|(name, grant)| {
                let value = match &grant.value {
                    EnvValue::Secret(it) => operand(it),
                    EnvValue::Template(it) => it.text().into(),
                };
                (name.clone(), value)
            })),
        ),
        (
            "on_change",
            it.on_change.as_ref().map_or(Value::Null, on_change),
        ),
        ("path", json!(path)),
        ("secrets", list(it.secrets.iter().map(file))),
        ("templates", list(it.templates.iter().map(template))),
    ])
}

fn operand(it: &Operand) -> Value {
    match it {
        Operand::Name(name) => name.as_str().into(),
        Operand::Ref(reference) => reference.to_string().into(),
    }
}

fn file(it: &FileGrant) -> Value {
    let mut out = modes(&it.file);
    out.insert("source".to_owned(), operand(&it.source));
    out.insert("target".to_owned(), it.target.as_str().into());
    Value::Object(out)
}

fn template(it: &TemplateGrant) -> Value {
    let mut out = modes(&it.file);
    out.insert("content".to_owned(), it.content.text().into());
    out.insert("target".to_owned(), it.target.as_str().into());
    Value::Object(out)
}

fn modes(it: &FileMode) -> Map<String, Value> {
    let owner = |it: &Option<Owner>| match it {
        None => Value::Null,
        Some(Owner::Id(id)) => (*id).into(),
        Some(Owner::Name(name)) => name.as_str().into(),
        Some(Owner::Service) => "service".into(),
    };
    let update = match it.update {
        Update::Swap => None,
        Update::Rename => Some("rename"),
        Update::Inplace => Some("inplace"),
    };
    entries([
        ("gid", owner(&it.gid)),
        ("mode", json!(it.mode.map(|bits| format!("0{bits:o}")))),
        ("uid", owner(&it.uid)),
        ("update", json!(update)),
    ])
}

fn on_change(it: &OnChange) -> Value {
    let action = match &it.action {
        ChangeAction::Auto => ("action", "auto".into()),
        ChangeAction::None => ("action", "none".into()),
        ChangeAction::Restart => ("action", "restart".into()),
        ChangeAction::Recreate => ("action", "recreate".into()),
        ChangeAction::Rollout => ("action", "rollout".into()),
        ChangeAction::Signal(name) => ("signal", name.as_str().into()),
        ChangeAction::Exec(argv) => ("exec", json!(argv)),
    };
    object([
        action,
        ("restart_every", duration(it.restart_every)),
        ("settle", duration(it.settle)),
        ("stable", duration(it.stable)),
        ("timeout", duration(it.timeout)),
    ])
}

fn defaults(it: &Defaults) -> Value {
    object([
        (
            "on_change",
            it.on_change.as_ref().map_or(Value::Null, on_change),
        ),
        ("refresh", duration(it.refresh)),
        ("restart_every", duration(it.restart_every)),
        ("settle", duration(it.settle)),
    ])
}

fn secret(it: &SecretSpec) -> Value {
    let fields = it
        .fields
        .iter()
        .map(|(k, v)| (k.clone(), v.as_str().into()));
    object([
        ("allow_empty", json!(it.allow_empty.then_some(true))),
        ("fields", all(fields)),
        ("ref", it.reference.to_string().into()),
        ("refresh", duration(it.refresh)),
    ])
}

fn source(it: &SourceSpec) -> Value {
    let credential = |it: &Credential| match it {
        Credential::File(path) => json!({ "file": path }),
        Credential::Env(name) => json!({ "env": name }),
    };
    let auth = it.auth.as_ref().map(|auth| match auth {
        AuthSpec::Token(token) => json!({ "token": credential(token) }),
        AuthSpec::Approle {
            role_id,
            secret_id,
            mount,
        } => {
            let method = object([
                ("mount", json!(mount)),
                ("role_id", role_id.as_str().into()),
                ("secret_id", credential(secret_id)),
            ]);
            json!({ "approle": method })
        }
    });
    object([
        ("auth", json!(auth)),
        ("ca", json!(it.ca)),
        ("namespace", json!(it.namespace)),
        ("refresh", duration(it.refresh)),
        ("root", json!(it.root)),
        ("timeout", duration(it.timeout)),
        ("type", it.kind.as_str().into()),
        ("url", json!(it.url)),
    ])
}

fn duration(it: Option<std::time::Duration>) -> Value {
    json!(it.map(|it| format!("{}us", it.as_micros())))
}

/// Entries without those that say nothing.
fn entries<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    let says = |it: &Value| match it {
        Value::Null => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => true,
    };
    let all = all.into_iter().filter(|(_, it)| says(it));
    all.map(|(key, it)| (key.to_owned(), it)).collect()
}

fn object<const N: usize>(all: [(&str, Value); N]) -> Value {
    Value::Object(entries(all))
}

fn all(all: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(all.collect())
}

fn list(all: impl Iterator<Item = Value>) -> Value {
    Value::Array(all.collect())
}

/// Dollars, also those of keys: [`crate::compose::compile`] takes two for one.
fn double(it: &mut Value) {
    match it {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(all) => all.iter_mut().for_each(double),
        Value::Object(all) => {
            let doubled = std::mem::take(all).into_iter().map(|(key, mut it)| {
                double(&mut it);
                (key.replace('$', "$$"), it)
            });
            *all = doubled.collect();
        }
        _ => {}
    }
}
