//! The client of an engine. `checks` has what this crate and everybody above it takes for granted of one, and runs against the fake
//! and against the real one by the same functions; `faults` and `dial` have what only one of them can show.
//!
//! The real half needs an engine at `/var/run/docker.sock` and the image `busybox:latest`; where
//! they are missing it fails and says how to get them. It touches only objects of its own.
#![allow(clippy::unwrap_used, reason = "tests")]

mod checks;
mod dial;
mod faults;
mod place;

macro_rules! contract {
    ($($check:ident),* $(,)?) => {
        mod fake {
            $(
                #[tokio::test]
                async fn $check() {
                    crate::checks::$check(&crate::place::Place::fake().await).await;
                }
            )*
        }
        mod real {
            $(
                #[tokio::test]
                async fn $check() {
                    let place = crate::place::Place::real(stringify!($check)).await;
                    crate::checks::$check(&place).await;
                }
            )*
        }
    };
}

contract! {
    says_what_it_is,
    a_container_lives_and_dies,
    a_stop_ends_in_a_kill,
    refusals_have_their_kinds,
    inspect_shows_what_was_asked_for,
    lists_select_by_label,
    names_and_policies_change,
    a_policy_starts_again_after_a_failure,
    a_signal_switches_the_policy_off,
    a_tmpfs_volume_lives_as_long_as_its_users,
    volumes_are_made_once,
    execs_carry_bytes_both_ways,
    execs_report_their_end,
    images_are_imported,
    small_files_are_read,
    events_follow_the_list,
    the_cache_asks_once,
}
