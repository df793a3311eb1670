//! One suite for three databases: SQLite in a file, MariaDB and PostgreSQL as servers of their own.
//!
//! Every step has a database to itself. SQLite runs each as a test; the two servers are started once and run all steps
//! one after the other, and the last words on stderr name the step that failed.

mod faults;
mod places;
mod servers;
mod sqlite;
mod steps;

use places::Place;
use servers::{Kind, Server};

macro_rules! suite {
    ($($step:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $step() {
                    super::steps::$step(&super::Place::sqlite()).await;
                }
            )*
        }

        async fn all_steps(server: &Server) {
            $(
                eprintln!("step: {}", stringify!($step));
                steps::$step(&Place::on(server, stringify!($step)).await).await;
            )*
        }
    };
}

suite!(
    section_6_1_the_first_login_makes_a_user_and_later_ones_refresh_it,
    section_6_1_groups_are_those_the_provider_names,
    section_6_3_disabling_removes_all_sessions,
    section_6_3_groups_are_made_changed_and_removed,
    section_10_the_originals_database_is_used_as_it_is,
    section_10_missing_tables_and_the_late_column_are_made,
    section_15_22_rows_of_other_programs_count_at_once,
    sessions_end_and_are_swept,
    a_digest_that_was_read_opens_nothing,
    sixteen_first_logins_at_once_are_one_user,
    sixteen_at_once_in_the_same_new_groups,
    p15_an_emptied_database_gets_its_tables_back,
    p22_secrets_are_not_told,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suite_on_mariadb() {
    all_steps(&Server::start(Kind::MariaDb)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suite_on_postgresql() {
    all_steps(&Server::start(Kind::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_k7_mariadb_may_hang_die_and_come_back() {
    faults::hang_die_and_come_back(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_k7_postgresql_may_hang_die_and_come_back() {
    faults::hang_die_and_come_back(Kind::Postgres).await;
}
