//! Reading weight files against torch's own values, and refusing what is not weights.

use std::collections::BTreeMap;
use std::io::Write;

use panal_tensor::{FileFault, TensorError, read_weights};
use serde_json::Value;

use crate::{bytes, golden};

/// Every format gives the values, types and shapes that torch saw.
#[test]
fn all_formats_hold_what_torch_saved() {
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(golden("weights.json")).unwrap()).unwrap();
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 19);
    for file in ["weights.pth", "weights-legacy.pth", "nested.pth", "nested-legacy.pth", "weights.safetensors"] {
        let weights = read_weights(&golden(file)).unwrap();
        assert_eq!(weights.source, golden(file));
        let mut names: Vec<_> = weights.tensors.keys().collect();
        let mut expected_names: Vec<_> = expected.keys().collect();
        if file.ends_with(".safetensors") {
            names.sort(); // by offset there, in the order of the state dict elsewhere
            expected_names.sort();
        }
        assert_eq!(names, expected_names, "{file}");
        for (name, want) in expected {
            let got = &weights.tensors[name];
            let dtype = match got.kind() {
                tch::Kind::Float => "float32",
                tch::Kind::Double => "float64",
                tch::Kind::Half => "float16",
                tch::Kind::BFloat16 => "bfloat16",
                tch::Kind::Int64 => "int64",
                tch::Kind::Int => "int32",
                tch::Kind::Int16 => "int16",
                tch::Kind::Int8 => "int8",
                tch::Kind::Uint8 => "uint8",
                tch::Kind::Bool => "bool",
                other => panic!("{file}: {name} is {other:?}"),
            };
            let hex: String = bytes(got).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(want["dtype"], dtype, "{file}: {name}");
            assert_eq!(want["shape"], serde_json::json!(got.size()), "{file}: {name}");
            assert_eq!(want["bytes"], hex, "{file}: {name}");
        }
    }
}

#[test]
fn the_metadata_of_safetensors_is_kept() {
    let weights = read_weights(&golden("weights.safetensors")).unwrap();
    let want = [("origin", "generate.py"), ("epoch", "3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(weights.metadata, BTreeMap::from(want));
}

/// A weight file's strides and shared storages survive, so that it takes no more memory than the file.
#[test]
fn views_share_their_storage() {
    let weights = read_weights(&golden("weights.pth")).unwrap();
    let (first, second) = (&weights.tensors["first_of_two"], &weights.tensors["second_of_two"]);
    assert_eq!(weights.tensors["transposed"].stride(), [1, 3]);
    assert_eq!(second.data_ptr() as usize - first.data_ptr() as usize, 3 * 4);
    assert!(panal_tensor::is_channels_last(&weights.tensors["channels_last"]));
}

/// The fault of a file that must not be read, and the whole message.
fn fault(file: &str) -> (FileFault, String) {
    let error = read_weights(&golden(file)).expect_err(file);
    let message = error.to_string();
    assert!(message.contains(file), "the message names the file: {message}");
    match error {
        TensorError::ReadWeights { fault, .. } => (fault, message),
        other => panic!("{other}"),
    }
}

#[test]
fn a_pickle_that_calls_code_is_refused_by_name() {
    for file in ["malicious.pth", "malicious-legacy.pth"] {
        let (fault, message) = fault(file);
        assert!(matches!(&fault, FileFault::Refused(name) if name.ends_with(".system")), "{fault:?}");
        assert!(message.contains("holds a call to posix.system: refused"), "{message}");
    }
    assert!(matches!(fault("module.pth").0, FileFault::Refused(name) if name == "torch.nn.modules.linear.Linear"));
}

#[test]
fn what_is_no_state_dict_is_told_so() {
    for (file, say) in [
        ("list.pth", "holds a list, not a state dict"),
        ("list-legacy.pth", "holds a list, not a state dict"),
        ("mixed.pth", "entry `epoch` of the state dict is an integer, not a tensor"),
        ("mixed-legacy.pth", "entry `epoch` of the state dict is an integer, not a tensor"),
        ("expanded.pth", "tensor `weight` repeats elements of its storage"),
        ("expanded-legacy.pth", "tensor `weight` repeats elements of its storage"),
        ("protocol4.pth", "pickle protocol 4"),
        ("weights.json", "neither a .safetensors nor a .pth file"),
    ] {
        let (fault, message) = fault(file);
        assert!(matches!(fault, FileFault::Unsupported(_)), "{file}: {fault:?}");
        assert!(message.contains(say), "{file}: {message}");
    }
}

#[test]
fn a_missing_file_and_a_folder_are_told_by_name() {
    assert!(matches!(fault("no-such-file.pth").0, FileFault::Io(_)));
    assert!(matches!(fault("").0, FileFault::Io(_)));
}

/// MobileNetV2 from the mirror: real weights, read and digested.
#[test]
fn the_weights_of_the_mirror_are_read() {
    let mirror = std::env::var_os("PANAL_MIRROR")
        .map_or_else(|| golden("../../../../../shared/mirror"), std::path::PathBuf::from);
    let path = mirror.join("mobilenet_v2-imagenet1k.safetensors");
    if !path.exists() {
        // Not by println! or eprintln!, whose words the test runner keeps back.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no {} (set PANAL_MIRROR)", path.display());
        return;
    }
    let weights = read_weights(&path).unwrap();
    assert_eq!(weights.tensors["classifier.1.weight"].size(), [1000, 1280]);
    assert_eq!(weights.tensors["features.0.0.weight"].size(), [32, 3, 3, 3]);
    assert_eq!(weights.digest().unwrap().len(), 64);
}
