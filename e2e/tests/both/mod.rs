//! Scenarios that are written once: each runs on the real engine (`real::…` of the test binary `main`) and on the fake one
//! (`fake::…` of `fake`, which needs no engine). They end in the same state on both, which keeps the fake honest.
//!
//! They assert states only. What is about compose's own parsing and words, about kernels or about real programs has no twin,
//! and is in `../scenarios`.

pub mod bad_value;
pub mod compose;
pub mod controller;
pub mod delivery;
pub mod recovery;
pub mod rotation;

/// One test of each scenario in a world.
macro_rules! tests_in {
    ($world:ty: $($file:ident { $($scenario:ident)* })*) => {
        $(pub mod $file {
            $(#[test]
            fn $scenario() {
                $crate::both::$file::$scenario::<$world>();
            })*
        })*
    };
}

/// All scenarios in a world. One that is forgotten here is an unused function, which clippy refuses.
macro_rules! all_in {
    ($world:ty) => {
        $crate::both::tests_in! { $world:
            bad_value {
                a_value_that_makes_a_service_unhealthy_is_rolled_back
                while_a_hook_fails_its_dependants_keep_the_old_generation
                what_a_user_stops_during_a_rotation_stays_stopped
            }
            compose {
                an_unchanged_up_changes_nothing
                stop_start_and_restart_keep_the_secrets
                what_is_removed_by_hand_comes_back_with_up
                down_leaves_nothing_behind
                compose_asks_the_engine_for_this
            }
            controller {
                a_controller_that_starts_misses_and_doubles_nothing
                a_controller_that_is_killed_in_the_middle_misses_and_doubles_nothing
                a_controller_that_comes_later_changes_nothing
            }
            delivery {
                files_and_variables_are_there_before_the_application
                what_cannot_be_resolved_starts_nothing
                without_a_controller_up_delivers_and_apply_acts
            }
            recovery {
                after_a_reboot_without_a_controller_the_application_waits_and_apply_helps
                after_a_reboot_a_controller_heals_alone
                a_removed_anchor_is_replaced_and_nothing_restarts
                a_restart_by_hand_needs_nothing_and_causes_nothing
                drift_is_repaired_without_a_restart
                an_engine_that_restarts_without_a_controller_starts_nothing_without_its_secrets
                an_engine_that_restarts_brings_everything_back
            }
            rotation {
                one_change_restarts_who_uses_it_once_and_nobody_else
                many_changes_in_the_settle_window_cause_one_restart
                the_second_restarts_when_the_first_is_healthy
                a_restart_takes_along_who_asked_for_it
                a_hook_runs_before_its_dependants_restart
            }
        }
    };
}

pub(crate) use {all_in, tests_in};
