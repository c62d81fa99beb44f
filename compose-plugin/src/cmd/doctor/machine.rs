//! The engine's machine: its kernel, its swap, its clock.

use locket_crds::doctor::Finding;
use locket_engine::Time;

use super::finding::{Findings, Unseen, note, ok, warning};
use super::patient::Patient;

/// The first Linux whose tmpfs knows `noswap`: <https://docs.kernel.org/filesystems/tmpfs.html>.
const NOSWAP: (u32, u32) = (6, 3);
/// Clocks that differ by less are not worth a word.
const SMALL: u64 = 2_000;
/// By more, certificates and short tokens are in danger.
const LARGE: u64 = 60_000;
/// 2024: a clock that shows less was never set.
const UNSET: u64 = 1_704_067_200_000;

/// The check `kernel`.
pub async fn kernel(it: &Patient<'_>) -> Findings {
    Ok(vec![knows_noswap(&it.engine().await?.info.kernel)])
}

pub(super) fn knows_noswap(release: &str) -> Finding {
    let mut numbers = release
        .split(['.', '-', '+'])
        .map(|it| it.parse::<u32>().ok());
    let (major, minor) = NOSWAP;
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(a), Some(b)) if (a, b) >= NOSWAP => {
            ok(format!("Linux {release} can keep a tmpfs out of swap"))
        }
        (Some(_), Some(_)) => note(
            format!(
                "Linux {release} cannot keep a tmpfs out of swap (`noswap` came with {major}.{minor})"
            ),
            "keep swap off or encrypted on the engine's machine, or update its kernel",
        ),
        _ => note(
            format!("the kernel calls itself {release:?}, of which nothing is known"),
            "keep swap off or encrypted on the engine's machine",
        ),
    }
}

/// The check `swap`.
pub async fn swap(it: &Patient<'_>) -> Findings {
    let engine = it.engine().await?;
    if !engine.is_here {
        return Err(Unseen::from_here(
            "whether the engine's machine swaps cannot be seen from here",
            "run `swapon --show` there: nothing, or only zram, is what is wanted",
        ));
    }
    let text = std::fs::read_to_string("/proc/swaps");
    let text = text.map_err(|e| Unseen::failed(format!("/proc/swaps cannot be read: {e}")))?;
    Ok(vec![swaps(&text)])
}

/// `/proc/swaps`: a headline, then a line an area; the first word is where it is.
pub(super) fn swaps(text: &str) -> Finding {
    let areas = text.lines().skip(1);
    let areas: Vec<&str> = areas.filter_map(|l| l.split_whitespace().next()).collect();
    let disks: Vec<&str> = areas
        .iter()
        .copied()
        .filter(|area| !area.starts_with("/dev/zram"))
        .collect();
    match (areas.is_empty(), disks.is_empty()) {
        (true, _) => ok("swap is off"),
        (false, true) => ok("swap is compressed memory only (zram)"),
        (false, false) => note(
            format!(
                "swap is on ({}): under memory pressure secrets on a tmpfs may be written there",
                disks.join(", ")
            ),
            "encrypt the swap, or switch it off: `swapoff -a`, and its line in /etc/fstab",
        ),
    }
}

/// The check `clock`.
pub async fn clock(it: &Patient<'_>) -> Findings {
    let engine = it.engine().await?;
    let before = it.cx.now().0;
    let info = engine.host.engine.info().await?;
    let after = it.cx.now().0;
    let there = info.system_time.map(|nanos| nanos / 1_000_000);
    let there = there.ok_or_else(|| Unseen::failed("the engine does not tell its time"))?;
    let mut out = vec![clocks(there, before, after)];
    // Of what is not known nothing can be said; `anchors` says so.
    if let Ok(survey) = it.survey().await {
        let starts = survey.serving.iter().filter_map(|it| {
            let at: Time = it.started_at?;
            Some((it.name.as_str(), at / 1_000_000))
        });
        out.extend(started_later(starts, there));
    }
    Ok(out)
}

/// The engine's clock against this machine's, which was read before and after: milliseconds since 1970.
pub(super) fn clocks(there: u64, before: u64, after: u64) -> Finding {
    let apart = match there {
        _ if there < before => before - there,
        _ => there.saturating_sub(after),
    };
    let seconds = apart / 1000;
    let message = format!("the engine's clock and this machine's are {seconds} s apart");
    let cure = "let both machines keep time with NTP: `timedatectl set-ntp true`";
    match apart {
        _ if there < UNSET => warning("the engine's clock was never set", cure),
        0..SMALL => ok("the engine's clock and this machine's agree"),
        SMALL..LARGE => note(message, cure),
        _ => warning(
            format!("{message}: certificates and tokens may seem expired, or not valid yet"),
            cure,
        ),
    }
}

/// A container that was started later than now: the clock was set back. `starts`: name and milliseconds since 1970.
pub(super) fn started_later<'a>(
    mut starts: impl Iterator<Item = (&'a str, u64)>,
    now: u64,
) -> Option<Finding> {
    let (name, _) = starts.find(|(_, at)| *at > now + SMALL)?;
    Some(note(
        format!("the engine's clock was set back: container {name} was started later than now"),
        "nothing, if it is right now: what a container started with is asked of its process where clocks cannot tell",
    ))
}
