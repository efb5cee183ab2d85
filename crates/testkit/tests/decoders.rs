//! Every decoder over every file that fuzzing left worth keeping: seeds in `fuzz/corpus/`, and in
//! `fuzz/crashers/` what once broke one of them.

use std::fs;
use std::path::Path;

use tandem_testkit::decoders::ALL;

/// The inputs of a decoder in one of the folders; none where there is no folder.
fn inputs(kind: &str, decoder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(kind).join(decoder);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    paths.map(|path| (path.display().to_string(), fs::read(&path).expect("a file"))).collect()
}

#[test]
fn every_decoder_stands_its_seeds_and_what_once_broke_it() {
    for (name, decode) in ALL {
        let seeds = inputs("corpus", name);
        assert!(!seeds.is_empty(), "the decoder {name} has seeds");
        for (path, bytes) in seeds.into_iter().chain(inputs("crashers", name)) {
            assert!(std::panic::catch_unwind(|| decode(&bytes)).is_ok(), "{path}");
        }
    }
}

#[test]
fn every_decoder_has_a_program_and_every_program_a_decoder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let programs = fs::read_dir(folder).expect("the programs are there");
    let mut programs: Vec<String> = programs
        .map(|entry| entry.expect("a folder can be read").file_name())
        .filter_map(|name| Some(name.to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    programs.sort();
    let mut decoders: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    decoders.sort_unstable();
    assert_eq!(programs, decoders);
}
