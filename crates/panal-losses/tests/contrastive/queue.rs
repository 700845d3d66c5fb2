//! The queue of keys: a ring that can be saved.

use panal_losses::{LossError, Queue, info_nce};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::helpers::{apart, embeddings};

fn unit(keys: &Tensor) -> Tensor {
    keys / keys.norm_scalaropt_dim(2, [1_i64], true)
}

/// The keys from the oldest to the newest.
fn in_age(queue: &Queue) -> Tensor {
    queue.keys().roll([-queue.position()], [0_i64])
}

#[test]
fn new_keys_take_the_place_of_the_oldest() {
    let first = embeddings(5, 3, 1);
    let mut queue = Queue::new(&first).unwrap();
    assert_eq!(queue.position(), 0);
    assert!(apart(queue.keys(), &unit(&first)) < 1e-12);

    let second = embeddings(3, 3, 2) * 100.0;
    queue.push(&second).unwrap();
    assert_eq!(queue.position(), 3);
    let expected = Tensor::cat(&[unit(&second), unit(&first).narrow(0, 3, 2)], 0);
    assert!(apart(queue.keys(), &expected) < 1e-12);

    // Rows 3, 4, and round to 0.
    let third = embeddings(3, 3, 3);
    queue.push(&third).unwrap();
    assert_eq!(queue.position(), 1);
    let expected =
        Tensor::cat(&[unit(&third).narrow(0, 2, 1), unit(&second).narrow(0, 1, 2), unit(&third).narrow(0, 0, 2)], 0);
    assert!(apart(queue.keys(), &expected) < 1e-12);
}

#[test]
fn a_restored_queue_goes_on_as_the_saved_one() {
    for kind in [Kind::Float, Kind::BFloat16] {
        let mut queue = Queue::new(&embeddings(5, 3, 1).to_kind(kind)).unwrap();
        queue.push(&embeddings(4, 3, 2)).unwrap();
        let mut restored = Queue::restore(queue.keys(), queue.position()).unwrap();
        for seed in 3..6 {
            assert_eq!(queue.keys().kind(), kind);
            assert_eq!((queue.keys(), queue.position()), (restored.keys(), restored.position()));
            queue.push(&embeddings(2, 3, seed)).unwrap();
            restored.push(&embeddings(2, 3, seed)).unwrap();
        }
    }
}

#[test]
fn a_push_between_loss_and_backward_does_no_harm() {
    let mut queue = Queue::new(&embeddings(5, 3, 1)).unwrap();
    let query = embeddings(2, 3, 2).set_requires_grad(true);
    let key = embeddings(2, 3, 3).set_requires_grad(true);
    let loss = info_nce(&query, &key, queue.keys(), 0.2).unwrap();
    queue.push(&key).unwrap();
    loss.backward();
    assert!(query.grad().abs().max().double_value(&[]) > 0.0);
    assert!(!queue.keys().requires_grad());
}

#[test]
fn each_wrong_argument_has_its_error() {
    let keys = embeddings(5, 3, 1);
    assert!(matches!(Queue::new(&keys.get(0)), Err(LossError::Embeddings { name: "keys", .. })));
    assert!(matches!(Queue::new(&keys.narrow(0, 0, 0)), Err(LossError::Embeddings { .. })));
    for position in [-1, 5] {
        let error = Queue::restore(&keys, position).unwrap_err();
        assert!(matches!(error, LossError::Position { keys: 5, got } if got == position), "{error}");
    }
    let mut queue = Queue::new(&keys).unwrap();
    let error = queue.push(&embeddings(2, 4, 2)).unwrap_err();
    assert!(matches!(error, LossError::Width { name: "keys", expected: 3, got: 4 }), "{error}");
    let whole = Tensor::zeros([2, 3], (Kind::Int64, Device::Cpu));
    assert!(matches!(queue.push(&whole), Err(LossError::Embeddings { kind: Kind::Int64, .. })));
    assert_eq!(queue.position(), 0, "a refused push changes nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    /// Whatever was pushed in whatever pieces, the newest keys stay, in order.
    #[test]
    fn the_newest_stay_in_order(pieces in prop::collection::vec(1_i64..13, 1..6), count in 1_i64..7) {
        let start = embeddings(count, 3, 0);
        let mut queue = Queue::new(&start).unwrap();
        let mut all = vec![start];
        for (piece, seed) in pieces.into_iter().zip(1..) {
            let keys = embeddings(piece, 3, seed);
            queue.push(&keys).unwrap();
            all.push(keys);
        }
        let all = Tensor::cat(&all, 0);
        let newest = unit(&all).narrow(0, all.size()[0] - count, count);
        prop_assert!(apart(&in_age(&queue), &newest) < 1e-12);
    }
}
