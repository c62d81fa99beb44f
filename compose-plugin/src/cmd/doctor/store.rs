//! The built-in store: whether it can be read, where its key is, and that nobody else knows of a backup.

use locket_controller::own::anchor::COMPOSE_PROJECT;
use locket_controller::own::store::{KEY_VOLUME, VOLUME};
use locket_crds::doctor::Finding;
use locket_engine::Volume;

use super::finding::{Findings, error, note, ok, warning};
use super::patient::Patient;

/// The check `store`.
pub async fn store(it: &Patient<'_>) -> Findings {
    let engine = &it.engine().await?.host.engine;
    // Looking into a store that is not there would make one.
    let Some(volume) = engine.volume(VOLUME).await? else {
        return Ok(vec![ok(
            "nothing was ever put into the built-in store of this engine",
        )]);
    };
    let key = engine.volume(KEY_VOLUME).await?;
    let listed = it.cx.store().await?.list("").await;
    let listed = listed.map(|all| all.len());
    let failed = |e: locket_provider::Error| (e.message, e.help);
    let mut out = vec![readable(listed.map_err(failed), key.as_ref())];
    out.extend(placed(&volume, key.as_ref()));
    Ok(out)
}

/// `listed`: how many secrets there are, or what is wrong and its cure.
pub(super) fn readable(
    listed: Result<usize, (String, Option<String>)>,
    key: Option<&Volume>,
) -> Finding {
    let place = match key {
        Some(_) => format!("its key in the volume {KEY_VOLUME}"),
        None => "its key beside it".to_owned(),
    };
    match listed {
        Ok(0) => ok(format!("the store can be read; it is empty, {place}")),
        Ok(n) => note(
            format!("the store can be read: {n} in it, {place}; whether there is a backup is not known"),
            "`docker locket secret export --passphrase > secrets.age`, and keep it elsewhere",
        ),
        Err((message, help)) => error(
            format!("the store cannot be read: {message}"),
            help.unwrap_or_else(|| "see docs/guides/local-store.md; a backup comes back with `docker locket secret import`".into()),
        ),
    }
}

/// What is unusual about the volumes.
pub(super) fn placed(store: &Volume, key: Option<&Volume>) -> Vec<Finding> {
    let mut out = Vec::new();
    if store.options.get("type").is_some_and(|it| it == "tmpfs") {
        out.push(warning(
            format!("the volume {VOLUME} is in memory: the store is lost when the machine restarts"),
            "`docker locket secret export`, make the volume anew without options, `docker locket secret import`",
        ));
    }
    if store.labels.contains_key(COMPOSE_PROJECT) {
        out.push(warning(
            format!(
                "the volume {VOLUME} belongs to a compose project, whose `down -v` would remove it"
            ),
            "take it out of the compose file, or mark it `external: true` there",
        ));
    }
    if key.is_some_and(|it| it.labels.contains_key(COMPOSE_PROJECT)) {
        out.push(warning(
            format!("the volume {KEY_VOLUME} belongs to a compose project, so it does not count"),
            format!("make it yourself: `docker volume create {KEY_VOLUME}`"),
        ));
    }
    out
}
