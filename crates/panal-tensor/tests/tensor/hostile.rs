//! Files that are cut off, damaged or made to harm: an error each time, never a panic, never more memory than the file.

use std::io::{Cursor, Write};
use std::path::Path;

use panal_tensor::{FileFault, TensorError, Weights, parse_weights};
use proptest::prelude::*;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::golden;

const FILES: [&str; 5] =
    ["weights.pth", "weights-legacy.pth", "weights.safetensors", "nested-legacy.pth", "malicious-legacy.pth"];

fn parse(bytes: &[u8]) -> Result<Weights, TensorError> {
    parse_weights(bytes, Path::new("hostile"))
}

/// The message of the error that these bytes must give.
fn refusal(bytes: &[u8]) -> String {
    parse(bytes).expect_err("must not be read").to_string()
}

#[test]
fn every_truncation_is_an_error() {
    for file in FILES {
        let bytes = std::fs::read(golden(file)).unwrap();
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "{file} cut to {len} bytes was read");
        }
    }
}

/// Each byte in turn replaced by values that are lengths, signs and ends elsewhere.
#[test]
fn every_damaged_byte_is_survived() {
    for file in FILES {
        let bytes = std::fs::read(golden(file)).unwrap();
        for at in 0..bytes.len() {
            for value in [0x00, 0x2e, 0x7f, 0xff, bytes[at] ^ 0x01] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                touch(parse(&damaged));
            }
        }
    }
}

/// Reads every element of what was read, so that a view beyond its storage would show under a memory checker, and counts.
fn touch(result: Result<Weights, TensorError>) {
    if let Ok(weights) = result {
        let bytes: usize = weights.tensors.values().map(|tensor| crate::bytes(tensor).len()).sum();
        assert!(bytes < 100_000, "{bytes} bytes out of a file of a few thousand");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn scattered_damage_is_survived(
        file in 0..FILES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = std::fs::read(golden(FILES[file])).unwrap();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        touch(parse(&bytes));
    }

    /// Chunks swapped, repeated or left out.
    #[test]
    fn rearranged_files_are_survived(
        file in 0..FILES.len(),
        pieces in prop::collection::vec((any::<prop::sample::Index>(), 1usize..400), 1..8),
    ) {
        let whole = std::fs::read(golden(FILES[file])).unwrap();
        let mut bytes = whole[..64].to_vec();
        for (start, len) in pieces {
            let start = start.index(whole.len());
            bytes.extend(&whole[start..whole.len().min(start + len)]);
        }
        touch(parse(&bytes));
    }

    /// Any program for the pickle machine, of torch's own operations and any others.
    #[test]
    fn any_pickle_is_survived(program in prop::collection::vec(operation(), 0..60)) {
        touch(parse(&legacy(&program.concat(), &[], &[])));
    }
}

/// One operation of a pickle with a plausible argument.
fn operation() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<Vec<u8>> = b"()]}.0NQRbtlaesu\x85\x86\x87\x88\x89".iter().map(|&byte| vec![byte]).collect();
    let names =
        ["torch\nFloatStorage\n", "collections\nOrderedDict\n", "torch._utils\n_rebuild_tensor_v2\n", "os\nsystem\n"];
    prop_oneof![
        4 => prop::sample::select(fixed),
        1 => prop::sample::select(names.map(|name| format!("c{name}").into_bytes()).to_vec()),
        1 => prop::sample::select(["storage", "0", "cpu", "state_dict"].map(text).to_vec()),
        1 => any::<u8>().prop_map(|value| vec![b'K', value]),
        1 => any::<i32>().prop_map(|value| [vec![b'J'], value.to_le_bytes().to_vec()].concat()),
        1 => (prop::sample::select(b"qh".to_vec()), 0u8..4).prop_map(|(operation, slot)| vec![operation, slot]),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// A file in the older format around the pickle of an object (without its frame) and raw storages.
fn legacy(object: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let system = [&b"\x80\x02}"[..], &text("little_endian"), b"\x88s."].concat();
    [&magic[..], b"\x80\x02M\xe9\x03.", &system, b"\x80\x02", object, b".\x80\x02]", keys, b".", storages].concat()
}

/// A state dict with one tensor `w` of f32, its numbers as pickle operations.
fn one_tensor(numel: &[u8], part: &[u8], offset: &[u8], shape: &[u8], stride: &[u8]) -> Vec<u8> {
    let storage =
        [&b"("[..], &text("storage"), b"ctorch\nFloatStorage\n", &text("k"), &text("cpu"), numel, part, b"tQ"];
    let tensor = [&b"ctorch._utils\n_rebuild_tensor_v2\n("[..], &storage.concat(), offset, shape, stride, b"\x89NtR"];
    [&b"}"[..], &text("w"), &tensor.concat(), b"s"].concat()
}

/// Six elements, 0 to 5, under the key `k`.
fn with_elements(object: &[u8]) -> Vec<u8> {
    let elements: Vec<u8> = (0..6u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
    legacy(object, &[text("k"), b"a".to_vec()].concat(), &[6u64.to_le_bytes().to_vec(), elements].concat())
}

fn values(bytes: &[u8]) -> Vec<f32> {
    Vec::try_from(parse(bytes).unwrap().tensors["w"].flatten(0, -1)).unwrap()
}

#[test]
fn views_are_held_to_their_storage() {
    let view = |numel: &[u8], part: &[u8], offset: &[u8], shape: &[u8], stride: &[u8]| {
        with_elements(&one_tensor(numel, part, offset, shape, stride))
    };
    // Sound: [2, 2] with strides [3, 1] from element 1; then the same out of a part of the storage (old files have such).
    assert_eq!(values(&view(b"K\x06", b"N", b"K\x01", b"K\x02K\x02\x86", b"K\x03K\x01\x86")), [1., 2., 4., 5.]);
    let part = [&b"("[..], &text("v"), b"K\x02K\x03t"].concat();
    assert_eq!(values(&view(b"K\x06", &part, b"K\x01", b"K\x02\x85", b"K\x01\x85")), [3., 4.]);

    let cases: [(&str, Vec<u8>); 10] = [
        ("beyond", view(b"K\x06", b"N", b"K\x02", b"K\x02K\x02\x86", b"K\x03K\x01\x86")),
        ("beyond", view(b"K\x06", b"N", b"J\xff\xff\xff\xff", b"K\x02\x85", b"K\x01\x85")),
        ("beyond", view(b"K\x06", &part, b"K\x02", b"K\x02\x85", b"K\x01\x85")),
        ("beyond", view(b"K\x06", b"N", b"K\x00", b"K\x02\x85", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")),
        ("impossible", view(b"K\x06", b"N", b"K\x00", b"K\x02\x85", b"J\xff\xff\xff\xff\x85")),
        ("impossible", view(b"K\x06", b"N", b"K\x00", b"J\xff\xff\xff\xff\x85", b"K\x01\x85")),
        ("impossible", view(b"K\x06", b"N", b"K\x00", b"K\x02\x85", b"K\x01K\x01\x86")),
        ("repeats", view(b"K\x06", b"N", b"K\x00", b"J\xff\xff\xff\x7f\x85", b"K\x00\x85")),
        ("should hold", view(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x0f", b"N", b"K\x00", b"K\x02\x85", b"K\x01\x85")),
        (
            "end",
            view(b"K\x06", &[&b"("[..], &text("v"), b"K\x02K\x05t"].concat(), b"K\x00", b"K\x02\x85", b"K\x01\x85"),
        ),
    ];
    for (number, (say, bytes)) in cases.iter().enumerate() {
        let message = refusal(bytes);
        assert!(message.contains(say), "case {number}: {message}");
    }
}

/// Dictionaries and strings as Python 2 wrote them.
#[test]
fn python_2_pickles_are_read() {
    let storage = b"(U\x07storagectorch.cuda\nFloatStorage\nU\x01kU\x06cuda:0K\x06NtQ";
    let tensor = [&b"ctorch._utils\n_rebuild_tensor\n("[..], storage, b"K\x00K\x06\x85K\x01\x85tR"].concat();
    let parameter =
        [&b"ctorch._utils\n_rebuild_parameter\n("[..], &tensor, b"\x88ccollections\nOrderedDict\n]\x85RtR"].concat();
    let object = [&b"ccollections\nOrderedDict\n](](U\x01w"[..], &parameter, b"eae\x85R"].concat();
    assert_eq!(values(&with_elements(&object)), [0., 1., 2., 3., 4., 5.]);
}

#[test]
fn calls_are_refused_wherever_they_stand() {
    for (name, program) in [
        ("builtins.eval", &b"cbuiltins\neval\n(X\x01\x00\x00\x001tR"[..]),
        ("torch.load", b"ctorch\nload\n"),
        ("torch.storage._load_from_bytes", b"ctorch.storage\n_load_from_bytes\n"),
        ("a torch storage class", b"ctorch\nFloatStorage\n)R"),
        ("what is no function", b"K\x01)R"),
        ("a network's Python class", b"(X\x06\x00\x00\x00modulectorch\nFloatStorage\nNNtQ"),
    ] {
        let error = parse(&legacy(program, &[], &[])).unwrap_err();
        let TensorError::ReadWeights { fault: FileFault::Refused(refused), .. } = &error else { panic!("{error:?}") };
        assert_eq!(refused, name);
    }
    // A name cannot smuggle control characters into the message.
    assert!(!refusal(&legacy(b"c\x1b[2J\nx\n", &[], &[])).contains('\x1b'));
}

/// Deep nesting, endless programs, cycles.
#[test]
fn programs_that_grow_are_stopped() {
    let deep = [vec![b'('; 400_000], vec![b't'; 400_000]].concat();
    assert!(refusal(&legacy(&deep, &[], &[])).contains("holds a tuple, not a state dict"));
    let endless = vec![b'N'; 2_000_000];
    assert!(refusal(&legacy(&endless, &[], &[])).contains("more than 1048576 operations"));
    let cycle = [&b"}q\x00"[..], &text("state_dict"), b"h\x00s"].concat();
    assert!(refusal(&legacy(&cycle, &[], &[])).contains("entry `state_dict` of the state dict is a dictionary"));
    let items = [&b"}"[..], &text("a"), b"h\x07s"].concat();
    assert!(refusal(&legacy(&items, &[], &[])).contains("leads nowhere"));
}

/// Lengths far beyond the file are refused before anything is allocated.
#[test]
fn claimed_lengths_are_not_believed() {
    let mut header = u64::MAX.to_le_bytes().to_vec();
    header.extend(b"{\"a\":1}");
    assert!(refusal(&header).contains("header too large"));
    let claim = br#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let header = [&(claim.len() as u64).to_le_bytes()[..], claim, &[0; 8]].concat();
    assert!(refusal(&header).contains("not fully covered"));
    let overlap = br#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}}"#;
    let header = [&(overlap.len() as u64).to_le_bytes()[..], overlap, &[0; 12]].concat();
    assert!(refusal(&header).contains("invalid offset for tensor `b`"));

    let object = one_tensor(b"K\x06", b"N", b"K\x00", b"K\x02\x85", b"K\x01\x85");
    let keys = [text("k"), b"a".to_vec()].concat();
    for numel in [7u64, 1 << 40, 1 << 61, u64::MAX] {
        let message = refusal(&legacy(&object, &keys, &[&numel.to_le_bytes()[..], &[0; 24]].concat()));
        assert!(message.contains("bytes and 24 are left") || message.contains("impossible length"), "{message}");
    }
    assert!(refusal(&legacy(&object, &[], &[])).contains("elements of a storage are missing"));
    let stranger = [text("x"), b"a".to_vec()].concat();
    assert!(refusal(&legacy(&object, &stranger, &[0; 8])).contains("belongs to no tensor"));
}

/// A zip in torch's layout.
fn archive(entries: &[(&str, &[u8])], compression: zip::CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(compression)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn archives_that_torch_does_not_write_are_refused() {
    use zip::CompressionMethod::{Deflated, Stored};
    let program = [&b"\x80\x02"[..], &one_tensor(b"K\x06", b"", b"K\x00", b"K\x06\x85", b"K\x01\x85"), b"."].concat();
    let elements = [0u8; 24];
    let sound = [("x/data.pkl", &program[..]), ("x/data/k", &elements[..])];
    assert_eq!(values(&archive(&sound, Stored)), [0.0; 6]);

    let zeros = vec![0; 1 << 20];
    for (say, bytes) in [
        ("compressed", archive(&sound, Deflated)),
        ("should hold 6 Float, got 23 bytes", archive(&[sound[0], ("x/data/k", &elements[1..])], Stored)),
        ("should hold 6 Float, got 1048576 bytes", archive(&[sound[0], ("x/data/k", &zeros)], Stored)),
        ("data/k", archive(&sound[..1], Stored)),
        ("without data.pkl", archive(&sound[1..], Stored)),
        ("TorchScript", archive(&[sound[0], sound[1], ("x/constants.pkl", b"")], Stored)),
        ("big-endian", archive(&[sound[0], sound[1], ("x/byteorder", b"big")], Stored)),
    ] {
        let message = refusal(&bytes);
        assert!(message.contains(say), "{message}");
    }
    // One flipped bit in a storage: the checksum tells.
    let mut bytes = archive(&[sound[0], ("x/data/k", &[0xabu8; 24])], Stored);
    let at = bytes.windows(24).position(|window| window == [0xab; 24]).unwrap();
    bytes[at + 5] ^= 4;
    assert!(refusal(&bytes).contains("checksum"), "{}", refusal(&bytes));
}

#[test]
fn other_files_are_told_apart() {
    assert!(refusal(b"").contains("the file is empty"));
    assert!(refusal(b"\x89PNG\r\n\x1a\n").contains("neither a .safetensors nor a .pth"));
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refusal(&tar).contains("tar format"));
}
