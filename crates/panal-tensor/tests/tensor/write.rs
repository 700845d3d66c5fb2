//! Writing safetensors: bit-equal after reading, atomic, the same bytes every time.

use std::collections::BTreeMap;

use panal_tensor::{FileFault, TensorError, channels_last, parse_weights, read_weights, write_safetensors};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::{bytes, golden};

fn named(tensors: &[(&str, &Tensor)]) -> Vec<(String, Tensor)> {
    tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone())).collect()
}

#[test]
fn what_is_written_is_read_back_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.safetensors");
    let read = read_weights(&golden("weights.pth")).unwrap();
    let tensors: Vec<_> = read.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    let metadata = BTreeMap::from([("seed".to_owned(), "7".to_owned()), ("ключ".to_owned(), "\"\n".to_owned())]);
    write_safetensors(&path, &tensors, &metadata).unwrap();
    let again = read_weights(&path).unwrap();
    assert_eq!(again.metadata, metadata);
    assert_eq!(again.digest().unwrap(), read.digest().unwrap());
    for (name, tensor) in &read.tensors {
        assert_eq!(again.tensors[name].kind(), tensor.kind(), "{name}");
        assert_eq!(again.tensors[name].size(), tensor.size(), "{name}");
        assert_eq!(bytes(&again.tensors[name]), bytes(tensor), "{name}");
    }
    // Nothing else is left in the folder, and the same input gives the same file.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let first = std::fs::read(&path).unwrap();
    write_safetensors(&path, &tensors, &metadata).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
}

proptest! {
    /// Whatever the order of axes in memory, the file holds the row-major order of the shape.
    #[test]
    fn strides_do_not_matter(shape in prop::collection::vec(0i64..5, 4), order in Just([0i64, 1, 2, 3]).prop_shuffle()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let numel: i64 = shape.iter().product();
        let tensor = Tensor::arange(numel, (Kind::Float, Device::Cpu)).view(shape.as_slice()).permute(order);
        write_safetensors(&path, &named(&[("x", &tensor)]), &BTreeMap::new()).unwrap();
        let again = read_weights(&path).unwrap();
        prop_assert!(again.tensors["x"].is_contiguous());
        prop_assert!(again.tensors["x"].equal(&tensor));
    }

    /// Any names, any text: the header survives.
    #[test]
    fn names_and_metadata_survive(name in ".{1,20}", key in ".{0,9}", value in ".{0,20}") {
        prop_assume!(name != "__metadata__");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let metadata = BTreeMap::from([(key, value)]);
        write_safetensors(&path, &named(&[(&name, &Tensor::from(1.5f32))]), &metadata).unwrap();
        let again = read_weights(&path).unwrap();
        prop_assert_eq!(&again.metadata, &metadata);
        prop_assert_eq!(again.tensors.keys().collect::<Vec<_>>(), [&name]);
    }
}

#[test]
fn channels_last_weights_are_written_in_logical_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let plain = Tensor::arange(4 * 3 * 2 * 5, (Kind::Float, Device::Cpu)).view([4, 3, 2, 5]);
    let tensor = channels_last(&plain).unwrap().set_requires_grad(true);
    write_safetensors(&path, &named(&[("x", &tensor)]), &BTreeMap::new()).unwrap();
    assert_eq!(bytes(&read_weights(&path).unwrap().tensors["x"]), bytes(&plain));
}

#[test]
fn a_failed_write_leaves_the_old_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let one = Tensor::from(1.0f32);
    write_safetensors(&path, &named(&[("x", &one)]), &BTreeMap::new()).unwrap();
    let before = std::fs::read(&path).unwrap();

    let twice = write_safetensors(&path, &named(&[("x", &one), ("x", &one)]), &BTreeMap::new());
    assert!(matches!(twice, Err(TensorError::Duplicate(name)) if name == "x"));
    let reserved = write_safetensors(&path, &named(&[("__metadata__", &one)]), &BTreeMap::new());
    assert!(matches!(reserved, Err(TensorError::WriteWeights { fault: FileFault::Unsupported(_), .. })));
    let complex = Tensor::zeros([2], (Kind::ComplexFloat, Device::Cpu));
    let complex = write_safetensors(&path, &named(&[("x", &complex)]), &BTreeMap::new());
    assert!(complex.unwrap_err().to_string().contains("tensor `x` is of type ComplexFloat"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_is_not_there_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/such/x.safetensors");
    let error = write_safetensors(&path, &[], &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("no/such/x.safetensors"), "{error}");
}

#[test]
fn no_tensors_at_all_make_a_sound_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    write_safetensors(&path, &[], &BTreeMap::new()).unwrap();
    let weights = parse_weights(&std::fs::read(&path).unwrap(), &path).unwrap();
    assert!(weights.tensors.is_empty() && weights.metadata.is_empty());
}
