//! Black-box tests: the real program in a directory of its own on a free port, driven through its sockets and its command
//! line, by raw bytes and by other people's clients. `ET_ENGINE=ring|readiness` picks the engine (PROMISES.md P20),
//! `ET_BIN` the program; without it the `et` of the same build is used.

#![allow(missing_docs, reason = "tests: the names are the documentation")]

mod audit;
mod auth;
mod authority_away;
mod bad_input;
mod bench;
mod citations;
mod clients;
mod cloudbackend;
mod conditions;
mod crash_points;
mod crowd;
mod descriptors;
mod dialects;
mod disk_faults;
mod download;
mod endpoints;
mod engines;
mod faults_table;
mod files_api;
mod full_disk;
mod golden;
mod guesses;
mod import;
mod journal_loss;
mod kill;
mod many;
mod matrix;
mod metrics;
mod mounts;
mod neighbours;
mod nics;
mod once;
mod oss;
mod people;
mod principals;
mod pyblobserver;
mod readme;
mod redis;
mod reload;
mod retention;
mod route_table;
mod rules;
mod secure_file_transfer;
mod start;
mod stop;
mod stream_upload;
mod support;
mod tus;
mod undecided;
mod under_way;
mod verify;
