//! Each rule of easytransfer/CONTRACT.md §0–§7, §8.7, §9, §10, §16.11, §16.12 and §16.14 → the tests that show it, as
//! `path/of/the/file::test`. Checks keep it true: every named test and every section must be there.
//!
//! Not here: what it shares with TUS 1.0 beyond these words stands in `tus::table`.

use crate::citations::Law;

/// (section, the rule in few words, tests)
type Row = (&'static str, &'static str, &'static [&'static str]);

const TABLE: &[Row] = &[
    (
        "0",
        "logging in through DingTalk is open, migrations are for tokens and administrators",
        &["tests/blackbox/route_table/mod::every_route_answers_every_caller_as_the_contract_says"],
    ),
    (
        "1.1",
        "bodies with a length, in chunks, after Expect, everywhere",
        &[
            "tests/blackbox/rules/bodies::section_1_1_every_framing_of_a_body_is_read_on_every_route",
            "tests/blackbox/tus/patch::chunked_bodies_work_in_any_split",
            "tests/blackbox/tus/patch::hundred_continue_comes_after_the_head_checks_and_only_then",
        ],
    ),
    (
        "1.2",
        "X-API-Token: static token, else session",
        &[
            "controlplane/src/authority/presented::section_1_2_carriers",
            "controlplane/src/surface/easytransfer/tests/people::section_1_2_carriers_of_a_session",
        ],
    ),
    (
        "1.2",
        "Authorization: session, else static token; a session that is none spoils no token",
        &[
            "controlplane/src/surface/easytransfer/tests/people::section_1_2_carriers_of_a_session",
            "tests/blackbox/auth::both_generations_of_clients_are_let_in",
        ],
    ),
    (
        "1.2",
        "X-Session-Token: session",
        &["controlplane/src/surface/easytransfer/tests/people::section_1_2_carriers_of_a_session"],
    ),
    (
        "1.2",
        "?token=: session, GET downloads only, never logged",
        &[
            "controlplane/src/authority/presented::section_1_2_a_token_in_the_query_counts_for_get_downloads_only",
            "controlplane/src/surface/easytransfer/tests/people::section_1_2_carriers_of_a_session",
            "tests/blackbox/auth::a_token_in_the_query_never_reaches_the_log",
        ],
    ),
    (
        "1.3",
        "a session is honoured with auth.enabled false",
        &["controlplane/src/surface/easytransfer/tests/people::section_1_3_a_session_counts_on_an_open_node_too"],
    ),
    (
        "1.3",
        "no token and no users: one is made, private, printed once, found by the same user's client",
        &[
            "tests/blackbox/auth::without_a_configured_token_one_is_made",
            "tests/blackbox/clients/et::the_four_lines",
            "controlplane/src/authority/first_token::section_1_3_the_first_token_is_private_and_stays",
        ],
    ),
    (
        "1.3",
        "a list emptied by reload falls back to that token",
        &[
            "tests/blackbox/reload::section_16_14_a_list_that_was_emptied_falls_back_to_the_nodes_own_token",
            "controlplane/src/authority/keys::section_1_3_an_empty_list_falls_back_to_the_first_token",
        ],
    ),
    (
        "1.3",
        "auth.enabled false opens everything, and warns when others reach it",
        &[
            "tests/blackbox/auth::an_open_node_is_open_only_when_told",
            "tests/blackbox/rules/settings::section_1_3_an_open_node_that_others_can_reach_warns",
        ],
    ),
    (
        "1.3",
        "open paths on whole segments; elsewhere 404",
        &[
            "controlplane/src/authority/open::section_1_3_open_paths",
            "tests/blackbox/route_table/mod::every_route_answers_every_caller_as_the_contract_says",
        ],
    ),
    (
        "1.3",
        "401 has CORS fields",
        &[
            "tests/blackbox/auth::a_refusal_names_itself_and_can_be_read_by_a_page",
            "controlplane/src/surface/easytransfer/tests/authority::section_1_5_cors_on_answers_refusals_and_grants",
        ],
    ),
    (
        "1.5",
        "more fields are exposed",
        &[
            "controlplane/src/surface/easytransfer/tests/authority::section_1_5_every_field_the_contract_names_is_exposed",
            "tests/blackbox/download::cors_fields_are_on_downloads_and_refusals",
        ],
    ),
    (
        "2.1",
        "parallel-writes and checksum algorithms are announced",
        &[
            "tests/blackbox/tus/options::parallel_writes_is_announced_only_when_it_is_on",
            "tests/blackbox/tus/options::checksum_algorithms_are_lower_case_and_include_sha1",
        ],
    ),
    ("2.2", "an unknown retention is permanent, and logged", &["tests/blackbox/retention::who_chooses_the_policy"]),
    (
        "2.2",
        "Location is absolute, believes only trusted proxies, copies no query",
        &[
            "tests/blackbox/tus/creation::a_created_upload_answers_at_once_under_an_absolute_location",
            "controlplane/src/surface/own_url::section_2_2_location_is_absolute_and_believes_only_trusted_proxies",
        ],
    ),
    (
        "2.2",
        "Upload-Expires is an IMF-fixdate",
        &["tests/blackbox/tus/expiration::the_time_of_expiry_is_told_while_incomplete"],
    ),
    (
        "2.2",
        "another version is 412 with Tus-Version",
        &["tests/blackbox/tus/versions::another_version_is_412_and_nothing_is_processed"],
    ),
    ("2.2", "a negative length is 400", &["tests/blackbox/tus/versions::a_number_is_digits_only"]),
    (
        "2.2",
        "creation-with-upload is checked as PATCH, finalised, 400 when too long",
        &[
            "tests/blackbox/tus/creation::a_complete_body_completes_the_upload",
            "tests/blackbox/tus/creation::a_body_that_may_not_be_creates_nothing",
            "controlplane/src/surface/easytransfer/tests/quota::t_cwu_4_a_creation_with_bytes_obeys_the_limit",
        ],
    ),
    ("2.2", "length zero is complete", &["tests/blackbox/tus/creation::length_zero_is_complete_at_creation"]),
    (
        "2.3",
        "HEAD sends the later clients' fields",
        &[
            "tests/blackbox/tus/head::the_offset_is_told_when_new_half_and_complete",
            "tests/blackbox/tus/head::section_2_3_chunks_are_told_in_chunk_mode",
        ],
    ),
    ("2.3", "complete files do not expire", &["tests/blackbox/tus/expiration::complete_uploads_do_not_expire"]),
    (
        "2.4",
        "an empty body changes nothing; the order of checks is TUS.md §A12",
        &[
            "tests/blackbox/tus/patch::an_empty_body_at_the_offset_changes_nothing",
            "tests/blackbox/tus/order::the_first_failure_answers_and_nothing_is_touched",
        ],
    ),
    (
        "2.4",
        "checksums in base64 and hex; 460 leaves nothing; malformed is 400",
        &[
            "tests/blackbox/tus/checksum::a_matching_checksum_is_204_in_base64_and_in_hex",
            "tests/blackbox/tus/checksum::a_mismatch_is_460_and_gives_the_space_back",
            "tests/blackbox/tus/checksum::readers_never_see_unverified_bytes",
            "tests/blackbox/tus/checksum::a_malformed_value_is_400",
        ],
    ),
    (
        "2.4",
        "out-of-order writes follow their table, or are 409 when switched off",
        &[
            "tests/blackbox/tus/patch::parallel_writes_follow_their_table",
            "tests/blackbox/tus/patch::sequential_mode_refuses_every_other_offset",
            "tests/blackbox/tus/locks::sixteen_writers_for_the_same_bytes_leave_one_winner",
        ],
    ),
    (
        "2.4",
        "a body that broke off keeps its prefix, unless it had a checksum",
        &[
            "tests/blackbox/tus/patch_interrupted::a_reset_keeps_the_prefix",
            "tests/blackbox/tus/checksum::an_interrupted_body_with_a_checksum_keeps_nothing",
        ],
    ),
    (
        "2.4",
        "a complete file takes no PATCH: 409 inside, else 400",
        &[
            "tests/blackbox/tus/patch::a_complete_upload_takes_no_more",
            "tests/blackbox/tus/patch::a_complete_upload_takes_nothing_at_its_end",
        ],
    ),
    (
        "2.6",
        "per_page, status, newest change first, pages beyond the end, unknown parameters",
        &[
            "tests/blackbox/files_api::the_list_pages_newest_first",
            "controlplane/src/surface/easytransfer/tests/listing::section_2_6_newest_change_first_in_pages",
        ],
    ),
    (
        "2.6",
        "full FileInfo everywhere, true times",
        &[
            "tests/blackbox/files_api::the_shapes_are_the_union_of_both_generations",
            "tests/blackbox/files_api::the_catalogue_in_a_file_keeps_everything",
        ],
    ),
    (
        "2.7",
        "one sweep at a time",
        &["controlplane/src/surface/easytransfer/tests/listing::section_2_7_one_sweep_runs_at_a_time"],
    ),
    (
        "2.8",
        "suffix ranges, unknown units, nothing received, 416 with the size",
        &[
            "tests/blackbox/download::the_vectors_on_a_complete_file",
            "tests/blackbox/download::a_partial_file_is_206_with_the_declared_total",
            "tests/blackbox/bad_input::ranges_that_cannot_be",
        ],
    ),
    ("2.8", "HEAD is a GET that counts nothing", &["tests/blackbox/download::downloads_are_counted_and_head_is_none"]),
    (
        "2.8",
        "filename and filename*, ETag, If-Range",
        &[
            "controlplane/src/surface/disposition::names_keep_their_letters_and_break_nothing",
            "tests/blackbox/download::a_whole_file_comes_with_all_its_fields",
            "tests/blackbox/download::if_range_counts_only_with_the_present_strong_tag",
        ],
    ),
    (
        "2.8",
        "chunks of every file, ranges of every file, consumed bytes are 410",
        &[
            "tests/blackbox/download::chunks_of_any_file",
            "tests/blackbox/download::a_chunk_beyond_a_gap_is_there_when_all_of_it_is",
            "tests/blackbox/retention::chunks_of_an_unfinished_once_are_consumed_one_by_one",
        ],
    ),
    (
        "3",
        "ttl without seconds: token policy, global default, else 400; as a default a configuration error",
        &[
            "tests/blackbox/retention::who_chooses_the_policy",
            "tests/blackbox/retention::ttl_without_seconds_anywhere_is_400",
            "controlplane/src/retention/policy::section_3_choice_of_the_policy",
            "controlplane/src/config/tests::a_ttl_policy_of_a_token_needs_seconds_from_somewhere",
            "tests/blackbox/reload::section_7_a_broken_file_is_400_says_where_and_changes_nothing",
        ],
    ),
    (
        "3",
        "a role's retention counts when the configuration names it",
        &["controlplane/src/surface/easytransfer/tests/people::section_3_a_role_may_name_a_retention"],
    ),
    (
        "3 rule 1",
        "only complete uploads are consumed, but chunk by chunk",
        &[
            "tests/blackbox/retention::an_upload_in_progress_is_never_consumed_by_a_get",
            "tests/blackbox/retention::chunks_of_an_unfinished_once_are_consumed_one_by_one",
        ],
    ),
    (
        "3 rule 2",
        "consumed is what was acknowledged; an aborted transfer consumes nothing for others",
        &[
            "tests/blackbox/retention::what_consumes_nothing",
            "controlplane/src/node/tests::section_3_rule_4_a_full_download_consumes_and_an_aborted_one_does_not",
        ],
    ),
    (
        "3 rule 3",
        "deliveries of one receiver add up",
        &[
            "tests/blackbox/retention::ranges_of_one_receiver_add_up",
            "tests/blackbox/retention::two_halves_by_two_receivers_consume_nothing",
            "controlplane/src/retention/tally::section_3_rule_3_ranges_of_one_receiver_make_one_full_download",
        ],
    ),
    (
        "3 rule 4",
        "from then on 404; the first to finish wins; space comes back",
        &[
            "tests/blackbox/crowd/retention::section_3_rule_4_of_64_receivers_one_gets_everything",
            "controlplane/src/retention/once::p10_of_32_whole_deliveries_one_is_let_go",
        ],
    ),
    ("3 rule 5", "gone within a second", &["tests/blackbox/retention::once_is_gone_after_a_full_download"]),
    (
        "3 rule 6",
        "ttl holds at every access; the sweep runs by itself and on request",
        &[
            "tests/blackbox/retention::ttl_counts_from_completion_and_is_kept_at_each_access",
            "tests/blackbox/retention::the_sweep_runs_by_itself_and_on_request",
            "tests/blackbox/crowd/retention::section_3_rule_6_64_readers_never_see_a_file_after_its_time",
        ],
    ),
    (
        "3 rule 7",
        "incomplete uploads expire, counted from the last accepted byte",
        &[
            "tests/blackbox/tus/expiration::the_period_counts_from_the_last_accepted_byte",
            "tests/blackbox/tus/expiration::an_upload_that_moves_is_never_removed",
            "controlplane/src/node/tests::section_3_rule_7_an_upload_expires_after_its_last_byte_and_only_when_the_data_plane_agrees",
        ],
    ),
    (
        "4",
        "507 with the seed's fields and a JSON body",
        &[
            "controlplane/src/surface/easytransfer/tests/quota::section_4_a_full_node_says_507_at_patch_and_recovers",
            "tests/blackbox/tus/patch::no_room_is_507_with_the_offset_and_a_time_to_come_back",
        ],
    ),
    (
        "4",
        "what is larger than the free space may start, unless reject_impossible",
        &[
            "tests/blackbox/files_api::a_file_larger_than_the_node_may_start_unless_told_otherwise",
            "tests/blackbox/clients/seed::a_full_node_is_waited_for",
        ],
    ),
    (
        "4",
        "a person's ledger: 413, 507 at creation, 507 at PATCH",
        &[
            "controlplane/src/surface/easytransfer/tests/people::section_4_a_persons_limits",
            "controlplane/src/surface/easytransfer/tests/people::section_17_8_the_check_at_creation_is_switchable",
            "tests/blackbox/people/rights::p9_a_persons_limit_holds_under_many_uploads_at_once",
            "tests/blackbox/crowd/quota::section_4_64_uploads_wait_for_room_and_all_finish",
        ],
    ),
    (
        "4",
        "every path that frees bytes credits once; the ledger is rebuilt at start",
        &[
            "tests/blackbox/people/ledger::section_4_every_path_that_frees_bytes_credits_the_owner_once",
            "tests/blackbox/people/rights::p9_a_persons_limit_holds_under_many_uploads_at_once",
            "tests/blackbox/files_api::the_quota_is_never_over_committed",
        ],
    ),
    (
        "4",
        "a group without a quota lifts nothing",
        &[
            "controlplane/src/people/model::section_4_a_group_without_a_quota_lifts_nothing",
            "controlplane/src/quota::section_4_effective_quota",
        ],
    ),
    (
        "5.2",
        "each file and byte counts once",
        &[
            "tests/blackbox/files_api::health_and_info_are_open_and_tell_the_truth",
            "controlplane/src/surface/easytransfer/tests/listing::section_5_facts_count_each_byte_once",
        ],
    ),
    (
        "5.3",
        "advertised addresses as given, detected ones when the listener serves them",
        &[
            "controlplane/src/machine/endpoints::section_5_3_advertised_addresses_are_listed_as_given",
            "controlplane/src/machine/endpoints::section_5_3_detected_addresses_are_those_the_listeners_serve",
            "controlplane/src/machine/discovery::section_5_3_interface_discovery",
            "tests/blackbox/nics/discovery::section_5_3_interfaces_and_addresses_that_come_and_go_are_told_while_the_node_runs",
            "tests/blackbox/nics/discovery::section_5_3_named_interfaces_their_speed_and_ipv6_addresses",
        ],
    ),
    (
        "5.3",
        "best for upload prefers low receive load",
        &[
            "controlplane/src/machine/advice::section_5_3_who_asks_alone_gets_the_strictly_lowest_load_of_his_direction",
            "tests/blackbox/nics/shaped::section_16_24_a_nic_that_sends_is_full_for_downloads_and_free_for_uploads",
        ],
    ),
    (
        "5.5, 5.6",
        "both generations' keys",
        &["tests/blackbox/route_table/mod::every_route_answers_every_caller_as_the_contract_says"],
    ),
    (
        "5.7",
        "verify is open, knows the live list and sessions, and is not for guessing",
        &[
            "tests/blackbox/reload::section_5_7_verify_knows_the_live_list",
            "controlplane/src/surface/easytransfer/tests/people::section_1_2_carriers_of_a_session",
            "tests/blackbox/auth::section_5_7_guessing_is_limited_per_address",
        ],
    ),
    (
        "6",
        "without users login-info and login/start are 501",
        &[
            "tests/blackbox/people/login::section_6_without_a_provider_nobody_needs_to_sign_in",
            "tests/blackbox/auth::there_is_no_login_here_and_that_is_501",
        ],
    ),
    (
        "6.1",
        "the token is collected once, within ten minutes",
        &[
            "tests/blackbox/people/login::a_login_is_collected_once_and_only_after_the_person_confirmed",
            "controlplane/src/login/pending/tests::section_6_1_everything_ends_after_ten_minutes",
        ],
    ),
    (
        "6.1",
        "an unknown or used state is 400; names are escaped",
        &[
            "tests/blackbox/people/login::what_did_not_come_from_a_login_under_way_is_400_and_makes_nobody",
            "controlplane/src/login/pending/tests::section_5_a_browsers_login_needs_its_cookie_and_works_once",
            "controlplane/src/login/page::section_16_13_names_are_escaped_on_every_page",
        ],
    ),
    (
        "6.1",
        "discovery is lazy and tried again",
        &[
            "controlplane/src/login/tests/real::section_6_1_a_provider_that_is_down_at_start_is_found_without_a_restart",
            "controlplane/src/login/tests/hostile::section_6_1_one_discovery_is_under_way_and_a_failed_one_is_not_repeated_at_once",
        ],
    ),
    (
        "6.1",
        "the callback URL whole or as an origin",
        &[
            "controlplane/src/login/settings::section_6_1_callback_is_the_configured_one_unless_only_this_machine_reaches_it",
            "tests/blackbox/people/login::a_browser_signs_in_and_out",
        ],
    ),
    (
        "6.3",
        "static tokens administer when auth.admin_tokens names them",
        &[
            "tests/blackbox/route_table/mod::every_route_answers_every_caller_as_the_contract_says",
            "controlplane/src/surface/easytransfer/tests/people::section_6_3_administration_table",
        ],
    ),
    (
        "6.3",
        "people see, read, delete and continue only what is theirs",
        &[
            "tests/blackbox/people/rights::people_reach_what_is_theirs_and_rights_end_at_once",
            "tests/blackbox/route_table/mod::every_route_answers_every_caller_as_the_contract_says",
            "controlplane/src/surface/easytransfer/tests/people::section_6_3_a_person_reaches_only_what_is_theirs",
            "controlplane/src/surface/easytransfer/tests/people::section_6_3_another_persons_partials_are_no_parts",
        ],
    ),
    (
        "7",
        "token values are masked; the new set counts from the next request",
        &[
            "tests/blackbox/reload::section_7_tokens_change_for_the_next_request_and_live_grants_end_within_a_second",
            "tests/blackbox/crowd/reload::section_7_reloads_disturb_no_token_that_stays_and_one_taken_away_is_out_within_a_second",
        ],
    ),
    (
        "7",
        "a broken file is 400 and the running settings stay",
        &["tests/blackbox/reload::section_7_a_broken_file_is_400_says_where_and_changes_nothing"],
    ),
    (
        "8.7",
        "rates follow the live quota; null is unlimited; all body bytes count",
        &[
            "dataplane/tests/node/rates::section_8_7_the_live_quota_reaches_bodies_that_already_run",
            "dataplane/tests/node/rates::section_8_7_short_requests_do_not_slip_through",
            "tests/blackbox/people/speed::a_persons_rate_holds_over_four_connections_in_both_directions",
            "tests/blackbox/people/under_way::section_8_7_a_limit_that_changes_counts_for_what_is_under_way",
        ],
    ),
    (
        "17.6",
        "retention.once_mode: exclusive",
        &[
            "tests/blackbox/retention::section_17_6_exclusive_refuses_a_second_whole_download_while_one_runs",
            "tests/blackbox/crowd/retention::section_17_6_of_64_receivers_one_gets_everything_and_others_may_be_told_to_wait",
        ],
    ),
    (
        "9.2",
        "flag > environment > file > default; what the environment pins stays",
        &[
            "controlplane/src/config/reader::section_9_2_flag_beats_environment_beats_file_beats_default",
            "tests/blackbox/reload::section_9_2_what_the_environment_pins_does_not_change",
        ],
    ),
    (
        "9.2",
        "only flags that were given override",
        &["tests/blackbox/rules/settings::section_9_2_only_flags_that_were_given_override"],
    ),
    (
        "9.3",
        "documented keys count; empty sections are absent",
        &[
            "controlplane/src/config/tests::section_9_3_documented_keys_count",
            "controlplane/src/config/tests::section_9_3_keys_stand_under_server_too",
            "controlplane/src/config/tests::the_example_file_names_every_key_and_its_default",
        ],
    ),
    (
        "9.3",
        "unknown keys are told with their path, and ignored",
        &["controlplane/src/config/tests::section_9_3_unknown_keys_are_named_and_ignored"],
    ),
    ("9.4", "ETRANSFER_SERVER counts", &["tests/blackbox/clients/et::the_other_commands"]),
    ("9.4", "lists are JSON or commas", &["controlplane/src/core/setting::section_9_4_booleans_lists_and_durations"]),
    (
        "9.5",
        "every size field, KiB too, nothing negative or empty",
        &[
            "controlplane/src/config/tests::section_9_5_every_size_field_takes_every_form",
            "controlplane/src/core/size::section_18_sizes",
        ],
    ),
    (
        "10",
        "the user database keeps its schema, and other programs write it too",
        &[
            "controlplane/src/people/tests/steps::section_10_the_originals_database_is_used_as_it_is",
            "controlplane/src/people/tests/steps::section_10_missing_tables_and_the_late_column_are_made",
            "controlplane/src/people/tests/steps::section_15_22_rows_of_other_programs_count_at_once",
            "tests/blackbox/people/rights::rows_of_other_programs_count_at_once",
        ],
    ),
    (
        "10",
        "memory forgets, file keeps, redis is never on the way of a byte",
        &[
            "tests/blackbox/people/backends::every_catalogue_works_with_every_user_database",
            "tests/blackbox/files_api::the_catalogue_in_memory_forgets_and_says_so",
            "tests/blackbox/files_api::the_catalogue_in_a_file_keeps_everything",
            "tests/blackbox/redis::p15_killed_and_back_with_its_data",
        ],
    ),
    (
        "10",
        "et server import reads the state file or Redis and adopts the data files",
        &[
            "tests/blackbox/import::section_10_files_are_adopted_in_place_and_a_second_run_changes_nothing",
            "tests/blackbox/import::section_10_records_in_redis_and_files_that_are_kept",
            "controlplane/src/original/tests::section_10_what_is_left_alone_and_why",
        ],
    ),
    (
        "10",
        "workers is the number of cores, 1 means all",
        &["tests/blackbox/rules/settings::section_10_workers_is_the_number_of_cores_and_one_means_all"],
    ),
    (
        "16.11",
        "no user reaches another's file",
        &["tests/blackbox/people/rights::people_reach_what_is_theirs_and_rights_end_at_once"],
    ),
    (
        "16.12",
        "a session that ended is out at once",
        &[
            "tests/blackbox/people/rights::people_reach_what_is_theirs_and_rights_end_at_once",
            "tests/blackbox/people/rights::rows_of_other_programs_count_at_once",
            "tests/blackbox/people/under_way::an_upload_ends_with_the_right_to_it_and_keeps_its_prefix",
            "tests/blackbox/people/under_way::a_download_ends_with_the_right_to_it",
        ],
    ),
    (
        "16.14",
        "an empty list opens nothing, at start and later",
        &[
            "controlplane/src/authority/mod::section_16_14_no_token_is_not_open",
            "tests/blackbox/reload::section_16_14_a_list_that_was_emptied_falls_back_to_the_nodes_own_token",
        ],
    ),
];

/// Is there such a test? A step of the user database's suite is one too: its list is checked by the compiler.
fn exists(test: &str) -> bool {
    let Some((file, name)) = test.split_once("::") else { return false };
    let source = std::fs::read_to_string(format!("{}/../{file}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap_or_default();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_step = |line: &&str| line.starts_with(&format!("pub async fn {name}(place: &Place)"));
    let marks = ["#[test]", "#[tokio::test"];
    let is_test = |pair: &[&str]| {
        let line = pair[1].trim_start_matches("async ");
        marks.iter().any(|mark| pair[0].starts_with(mark)) && line.starts_with(&format!("fn {name}("))
    };
    lines.windows(2).any(is_test) || lines.iter().any(is_step)
}

#[test]
fn every_rule_has_a_test_and_every_named_test_exists() {
    let untested = TABLE
        .iter()
        .filter(|(_, _, tests)| tests.is_empty())
        .map(|(section, rule, _)| format!("{section} {rule}: none"));
    let named = TABLE.iter().flat_map(|(section, _, tests)| tests.iter().map(move |test| (section, test)));
    let missing =
        named.filter(|(_, test)| !exists(test)).map(|(section, test)| format!("{section}: there is no {test}"));
    let wrong: Vec<String> = untested.chain(missing).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The check's control: it must see what is not there.
#[test]
fn a_test_that_is_not_there_is_missed() {
    assert!(exists("tests/blackbox/rules/table::a_test_that_is_not_there_is_missed"));
    for wrong in ["tests/blackbox/rules/table::exists", "tests/blackbox/rules/table::nothing", "tests/nowhere::x", "x"]
    {
        assert!(!exists(wrong), "{wrong}");
    }
}

#[test]
fn every_section_is_there() {
    let law = Law::of_the_tree();
    for section in TABLE.iter().flat_map(|(sections, _, _)| sections.split(", ")) {
        let anchor = section.replace(" rule ", ".");
        assert!(law.has("easytransfer/CONTRACT.md", &anchor), "§{section}");
    }
    assert!(!law.has("easytransfer/CONTRACT.md", "3.8"));
}
