//! Requirement id → tests, for every line of TUS.md. Checks keep it true: no id may be missing, and
//! every named test must exist. T-LOCK-6's other half (a lease lost to a paused holder) needs a shared lease store and
//! binds when there is one.

use crate::citations::Law;

/// The ids of TUS.md, in its order.
const IDS: [&str; 111] = [
    "T-VER-1",
    "T-VER-2",
    "T-VER-3",
    "T-VER-4",
    "T-VER-5",
    "T-HDR-1",
    "T-HDR-2",
    "T-HDR-3",
    "T-HDR-4",
    "T-OVR-1",
    "T-OVR-2",
    "T-OPT-1",
    "T-OPT-2",
    "T-OPT-3",
    "T-OPT-4",
    "T-OPT-5",
    "T-OPT-6",
    "T-HEAD-1",
    "T-HEAD-2",
    "T-HEAD-3",
    "T-HEAD-4",
    "T-HEAD-5",
    "T-HEAD-6",
    "T-HEAD-7",
    "T-HEAD-8",
    "T-HEAD-9",
    "T-PAT-1",
    "T-PAT-2",
    "T-PAT-3",
    "T-PAT-4",
    "T-PAT-5",
    "T-PAT-6",
    "T-PAT-7",
    "T-PAT-8",
    "T-PAT-9",
    "T-PAT-10",
    "T-PAT-11",
    "T-PAT-12",
    "T-PAT-13",
    "T-PAT-14",
    "T-PAT-15",
    "T-PAT-16",
    "T-CRE-1",
    "T-CRE-2",
    "T-CRE-3",
    "T-CRE-4",
    "T-CRE-5",
    "T-CRE-6",
    "T-CRE-7",
    "T-CRE-8",
    "T-CRE-9",
    "T-META-1",
    "T-META-2",
    "T-META-3",
    "T-META-4",
    "T-META-5",
    "T-META-6",
    "T-DEF-1",
    "T-DEF-2",
    "T-DEF-3",
    "T-DEF-4",
    "T-DEF-5",
    "T-DEF-6",
    "T-DEF-7",
    "T-CWU-1",
    "T-CWU-2",
    "T-CWU-3",
    "T-CWU-4",
    "T-CWU-5",
    "T-CWU-6",
    "T-CWU-7",
    "T-EXP-1",
    "T-EXP-2",
    "T-EXP-3",
    "T-EXP-4",
    "T-EXP-5",
    "T-EXP-6",
    "T-SUM-1",
    "T-SUM-2",
    "T-SUM-3",
    "T-SUM-4",
    "T-SUM-5",
    "T-SUM-6",
    "T-SUM-7",
    "T-SUM-8",
    "T-SUM-9",
    "T-TER-1",
    "T-TER-2",
    "T-TER-3",
    "T-TER-4",
    "T-TER-5",
    "T-CON-1",
    "T-CON-2",
    "T-CON-3",
    "T-CON-4",
    "T-CON-5",
    "T-CON-6",
    "T-CON-7",
    "T-CON-8",
    "T-CON-9",
    "T-CON-10",
    "T-CON-11",
    "T-CON-12",
    "T-LOCK-1",
    "T-LOCK-2",
    "T-LOCK-2a",
    "T-LOCK-2b",
    "T-LOCK-3",
    "T-LOCK-4",
    "T-LOCK-5",
    "T-LOCK-6",
];

/// Where each is tested; paths below `tus::`.
const TABLE: &[(&str, &[&str])] = &[
    ("T-VER-1", &["versions::every_answer_but_to_options_names_the_version"]),
    ("T-VER-2", &["versions::another_version_is_412_and_nothing_is_processed"]),
    (
        "T-VER-3",
        &[
            "versions::the_version_is_judged_before_everything_but_authentication",
            "order::the_first_failure_answers_and_nothing_is_touched",
        ],
    ),
    ("T-VER-4", &["versions::no_version_is_the_supported_one_and_a_wrong_spelling_is_412"]),
    ("T-VER-5", &["versions::supported_versions_are_listed"]),
    (
        "T-HDR-1",
        &["versions::numbers_in_answers_are_plain_decimals", "versions::every_answer_but_to_options_names_the_version"],
    ),
    ("T-HDR-2", &["versions::a_number_is_digits_only", "patch::no_offset_or_a_malformed_one_is_400"]),
    ("T-HDR-3", &["versions::a_protocol_header_given_twice_is_400_even_when_both_agree"]),
    (
        "T-HDR-4",
        &[
            "versions::header_names_compare_without_case",
            "concatenation::partials_and_finals_are_announced_and_nothing_else_is_a_kind",
        ],
    ),
    ("T-OVR-1", &["versions::the_override_is_the_method"]),
    ("T-OVR-2", &["versions::the_override_counts_on_post_only_and_for_three_methods"]),
    ("T-OPT-1", &["options::options_succeeds_on_the_collection_and_on_any_upload_url"]),
    (
        "T-OPT-2",
        &[
            "options::the_extensions_announced_are_the_ones_that_work",
            "options::parallel_writes_is_announced_only_when_it_is_on",
        ],
    ),
    ("T-OPT-3", &["options::the_maximum_is_told_when_there_is_one"]),
    ("T-OPT-4", &["options::the_version_of_the_request_does_not_matter_here"]),
    ("T-OPT-5", &["options::checksum_algorithms_are_lower_case_and_include_sha1"]),
    ("T-OPT-6", &["options::options_needs_no_token_and_a_preflight_is_answered_by_the_cors_rules"]),
    ("T-HEAD-1", &["head::the_offset_is_told_when_new_half_and_complete"]),
    ("T-HEAD-2", &["head::the_offset_is_told_when_new_half_and_complete"]),
    (
        "T-HEAD-3",
        &[
            "head::what_is_not_there_is_404_without_an_offset",
            "expiration::after_expiry_it_is_gone_and_its_space_is_back",
        ],
    ),
    ("T-HEAD-4", &["head::the_offset_is_told_when_new_half_and_complete"]),
    ("T-HEAD-5", &["head::an_answer_to_head_is_never_cached"]),
    (
        "T-HEAD-6",
        &["head::metadata_comes_back_byte_for_byte", "head::metadata_comes_back_after_completion_and_a_restart"],
    ),
    ("T-HEAD-7", &["deferred::head_says_deferred_until_the_length_is_set"]),
    ("T-HEAD-8", &["head::an_offset_told_during_a_stalled_patch_is_one_the_next_patch_is_accepted_at"]),
    ("T-HEAD-9", &["head::head_has_no_body_and_changes_nothing"]),
    (
        "T-PAT-1",
        &[
            "patch::a_body_lands_only_at_the_present_offset",
            "patch::sequential_mode_refuses_every_other_offset",
            "patch::parallel_writes_follow_their_table",
            "patch::parallel_slices_in_any_order_from_many_connections_make_the_file",
        ],
    ),
    ("T-PAT-2", &["patch::a_body_lands_only_at_the_present_offset", "patch::parallel_writes_follow_their_table"]),
    ("T-PAT-3", &["patch::another_content_type_is_415"]),
    ("T-PAT-4", &["patch::no_offset_or_a_malformed_one_is_400"]),
    ("T-PAT-5", &["patch::success_tells_the_new_offset", "patch::one_gibibyte_in_one_body"]),
    ("T-PAT-6", &["patch::an_empty_body_at_the_offset_changes_nothing"]),
    (
        "T-PAT-7",
        &["patch::an_unknown_upload_is_404_before_its_body", "patch::an_early_refusal_of_a_large_body_can_be_read"],
    ),
    (
        "T-PAT-8",
        &[
            "patch_interrupted::a_reset_keeps_the_prefix",
            "patch_interrupted::an_early_end_keeps_the_prefix_and_gets_no_204",
            "patch_interrupted::a_silent_sender_is_ended_by_the_next_head",
            "patch_interrupted::sigterm_keeps_the_prefix",
            "patch_interrupted::a_chunked_body_cut_in_the_middle_keeps_its_prefix",
        ],
    ),
    (
        "T-PAT-9",
        &[
            "patch::a_known_longer_body_is_400_before_it_is_read",
            "patch::a_chunked_longer_body_is_400_and_the_surplus_is_never_stored",
        ],
    ),
    (
        "T-PAT-10",
        &[
            "patch::chunked_bodies_work_in_any_split",
            "patch::hundred_continue_comes_after_the_head_checks_and_only_then",
            "patch::expect_with_a_body_sent_at_once_works",
        ],
    ),
    ("T-PAT-11", &["patch_interrupted::an_early_end_keeps_the_prefix_and_gets_no_204"]),
    ("T-PAT-12", &["patch::a_complete_upload_takes_no_more", "patch::a_complete_upload_takes_nothing_at_its_end"]),
    ("T-PAT-13", &["patch_interrupted::a_sender_silent_for_too_long_is_cut", "patch_interrupted::a_trickle_is_cut"]),
    ("T-PAT-14", &["patch::completion_happens_once_even_when_killed_around_the_last_byte"]),
    ("T-PAT-15", &["patch::acknowledged_bytes_are_there_after_a_kill_at_every_level"]),
    ("T-PAT-16", &["patch::no_room_is_507_with_the_offset_and_a_time_to_come_back"]),
    ("T-CRE-1", &["creation::creation_is_announced"]),
    (
        "T-CRE-2",
        &[
            "creation::a_created_upload_answers_at_once_under_an_absolute_location",
            "creation::ids_are_unguessable",
            "creation::a_head_on_another_core_sees_the_upload_at_once",
        ],
    ),
    ("T-CRE-3", &["creation::neither_length_nor_deferral_is_400_and_so_are_both"]),
    ("T-CRE-4", &["creation::neither_length_nor_deferral_is_400_and_so_are_both"]),
    ("T-CRE-5", &["creation::the_maximum_is_exact", "creation::a_length_near_the_end_of_numbers_reserves_nothing"]),
    ("T-CRE-6", &["creation::length_zero_is_complete_at_creation"]),
    ("T-CRE-7", &["metadata::the_vectors_of_the_contract", "metadata::a_file_name_is_wanted_when_the_header_is_there"]),
    ("T-CRE-8", &["creation::a_location_survives_a_kill_right_after_the_201"]),
    ("T-CRE-9", &["creation::open_uploads_of_one_credential_are_bounded"]),
    ("T-META-1", &["metadata::pairs_are_separated_by_commas_and_one_space"]),
    ("T-META-2", &["metadata::keys_are_unique"]),
    ("T-META-3", &["metadata::values_are_padded_base64_or_absent"]),
    ("T-META-4", &["metadata::keys_are_ascii"]),
    ("T-META-5", &["metadata::the_limits_are_exact"]),
    (
        "T-META-6",
        &[
            "metadata::hostile_names_stay_display_text",
            "metadata::a_name_outside_latin_1_comes_back_in_the_extended_field",
        ],
    ),
    ("T-DEF-1", &["deferred::deferral_is_announced_and_its_only_value_is_one"]),
    ("T-DEF-2", &["deferred::head_says_deferred_until_the_length_is_set"]),
    ("T-DEF-3", &["deferred::the_length_may_come_with_any_patch"]),
    ("T-DEF-4", &["deferred::a_length_once_set_never_changes"]),
    ("T-DEF-5", &["deferred::a_length_below_the_offset_is_400_and_one_equal_to_it_completes"]),
    ("T-DEF-6", &["deferred::the_maximum_holds_for_unknown_lengths", "deferred::the_quota_holds_for_unknown_lengths"]),
    ("T-DEF-7", &["deferred::a_length_on_an_upload_that_knows_it_must_be_the_same"]),
    ("T-CWU-1", &["creation::creation_is_announced"]),
    ("T-CWU-2", &["creation::a_body_is_stored_with_the_creation"]),
    ("T-CWU-3", &["creation::an_interrupted_creation_keeps_what_came"]),
    ("T-CWU-4", &["creation::a_body_that_may_not_be_creates_nothing", "creation::a_body_of_another_type_is_ignored"]),
    ("T-CWU-5", &["creation::a_complete_body_completes_the_upload"]),
    ("T-CWU-6", &["creation::hundred_continue_comes_only_when_the_creation_will_succeed"]),
    ("T-CWU-7", &["creation::a_partial_may_come_with_its_bytes"]),
    ("T-EXP-1", &["expiration::the_time_of_expiry_is_told_while_incomplete"]),
    ("T-EXP-2", &["expiration::the_time_of_expiry_is_told_while_incomplete"]),
    (
        "T-EXP-3",
        &["expiration::after_expiry_it_is_gone_and_its_space_is_back", "expiration::expiry_holds_across_a_restart"],
    ),
    (
        "T-EXP-4",
        &[
            "expiration::an_upload_that_moves_is_never_removed",
            "expiration::the_period_counts_from_the_last_accepted_byte",
        ],
    ),
    ("T-EXP-5", &["expiration::complete_uploads_do_not_expire"]),
    ("T-EXP-6", &["expiration::the_time_of_expiry_only_moves_later"]),
    (
        "T-SUM-1",
        &[
            "checksum::a_matching_checksum_is_204_in_base64_and_in_hex",
            "checksum::a_mismatch_is_460_and_gives_the_space_back",
        ],
    ),
    ("T-SUM-2", &["checksum::an_unknown_algorithm_is_400_before_the_body"]),
    ("T-SUM-3", &["checksum::a_mismatch_is_460_and_gives_the_space_back"]),
    (
        "T-SUM-4",
        &["checksum::a_matching_checksum_is_204_in_base64_and_in_hex", "checksum::the_vectors_of_the_contract"],
    ),
    ("T-SUM-5", &["checksum::a_malformed_value_is_400"]),
    ("T-SUM-6", &["checksum::an_interrupted_body_with_a_checksum_keeps_nothing"]),
    (
        "T-SUM-7",
        &["checksum::readers_never_see_unverified_bytes", "checksum::concatenation_never_sees_unverified_bytes"],
    ),
    ("T-SUM-8", &["checksum::a_checksum_may_come_in_the_trailer"]),
    ("T-SUM-9", &["checksum::other_trailer_fields_are_ignored_or_refused"]),
    ("T-TER-1", &["termination::delete_removes_complete_and_incomplete_uploads"]),
    ("T-TER-2", &["termination::space_is_given_back_once"]),
    (
        "T-TER-3",
        &["termination::delete_removes_complete_and_incomplete_uploads", "termination::an_unknown_upload_is_404"],
    ),
    (
        "T-TER-4",
        &[
            "termination::an_active_writer_is_ended_and_gets_no_204",
            "termination::an_active_reader_gets_the_right_bytes_or_is_cut_short",
        ],
    ),
    ("T-TER-5", &["termination::what_was_removed_stays_removed", "termination::a_racing_patch_does_not_bring_it_back"]),
    ("T-CON-1", &["concatenation::partials_and_finals_are_announced_and_nothing_else_is_a_kind"]),
    ("T-CON-2", &["concatenation::a_final_is_the_sum_of_its_parts_in_the_given_order"]),
    ("T-CON-3", &["concatenation::a_final_with_a_length_or_a_body_is_400"]),
    ("T-CON-4", &["concatenation::the_metadata_of_a_final_is_its_own"]),
    ("T-CON-5", &["concatenation::a_final_takes_no_patch", "order::not_final_stands_between_existence_and_offset"]),
    ("T-CON-6", &["concatenation::head_tells_the_kind_as_it_was_received"]),
    ("T-CON-7", &["concatenation::head_tells_the_kind_as_it_was_received"]),
    ("T-CON-8", &["concatenation::an_unfinished_part_is_400"]),
    ("T-CON-9", &["concatenation::only_this_servers_partials_are_parts"]),
    (
        "T-CON-10",
        &[
            "concatenation::a_repeated_final_with_an_idempotency_key_makes_one_copy",
            "concatenation::a_part_that_is_gone_is_no_part",
            "concatenation::no_half_built_final_is_ever_visible",
        ],
    ),
    ("T-CON-11", &["concatenation::partials_are_no_files"]),
    ("T-CON-12", &["concatenation::a_final_counts_what_it_stores_again"]),
    ("T-LOCK-1", &["locks::sixteen_writers_for_the_same_bytes_leave_one_winner"]),
    (
        "T-LOCK-2",
        &[
            "locks::a_silent_writer_is_ended_by_head_and_its_prefix_counts",
            "locks::a_silent_writer_is_ended_by_a_patch_that_wants_its_bytes",
        ],
    ),
    ("T-LOCK-2a", &["locks::a_busy_writer_is_not_ended_by_head_or_patch", "locks::delete_ends_even_a_busy_writer"]),
    ("T-LOCK-2b", &["locks::a_writer_of_other_bytes_is_nobodys_business"]),
    ("T-LOCK-3", &["locks::bytes_of_an_ended_writer_never_land"]),
    ("T-LOCK-4", &["locks::a_stuck_disk_is_423_for_the_others"]),
    ("T-LOCK-5", &["locks::progress_can_be_watched_without_touching_the_writer"]),
    ("T-LOCK-6", &["locks::a_lock_dies_with_its_holder"]),
];

/// The names of the tests in a module's source: a function right below `#[test]`.
fn tests_of(module: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/blackbox/tus");
    let source = std::fs::read_to_string(format!("{path}/{module}.rs")).unwrap_or_default();
    let lines: Vec<&str> = source.lines().collect();
    let after = lines.windows(2).filter(|pair| pair[0].trim() == "#[test]").map(|pair| pair[1]);
    after.filter_map(|line| Some(line.trim().strip_prefix("fn ")?.split('(').next()?.to_owned())).collect()
}

#[test]
fn every_requirement_has_a_test_and_every_named_test_exists() {
    let mut wrong = Vec::new();
    for id in IDS {
        let rows = TABLE.iter().filter(|(named, tests)| *named == id && !tests.is_empty()).count();
        if rows != 1 {
            wrong.push(format!("{id} has {rows} rows"));
        }
    }
    wrong.extend(TABLE.iter().filter(|(id, _)| !IDS.contains(id)).map(|(id, _)| format!("{id} is no requirement")));
    for (id, tests) in TABLE {
        for test in *tests {
            let (module, name) = test.split_once("::").expect("module::test");
            if !tests_of(module).iter().any(|known| known == name) {
                wrong.push(format!("{id}: there is no test {test}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_ids_are_those_of_the_document() {
    let law = Law::of_the_tree();
    let mut ids = IDS;
    ids.sort_unstable();
    assert_eq!(law.ids("TUS.md", "T-"), ids);
}
