//! Each wrong argument has its error, which names it.

use panal_losses::{
    LossError, Negatives, Similarity, alignment, check_positives, contrastive_accuracy, contrastive_accuracy_with,
    info_nce, margin_triplet, nt_logistic, nt_xent, nt_xent_tiled, nt_xent_tiled_with, nt_xent_with, sup_con,
    uniformity,
};
use tch::{Device, Kind, Tensor};

use crate::helpers::embeddings;

const WRONG_TEMPERATURES: [f64; 5] = [0.0, -0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

type OfPairs = fn(&Tensor) -> Result<(), LossError>;

#[test]
fn of_interleaved_views() {
    let all: [(&str, OfPairs); 11] = [
        ("nt_xent", |z| nt_xent(z, 0.5).map(drop)),
        ("nt_xent_with", |z| nt_xent_with(z, Similarity::Dot, 0.5).map(drop)),
        ("nt_xent_tiled", |z| nt_xent_tiled(z, 0.5).map(drop)),
        ("nt_xent_tiled_with", |z| nt_xent_tiled_with(z, Similarity::Dot, 0.5, 9).map(drop)),
        ("nt_logistic", |z| nt_logistic(z, Negatives::All, 0.5).map(drop)),
        ("nt_logistic, semi-hard", |z| nt_logistic(z, Negatives::SemiHard, 0.5).map(drop)),
        ("margin_triplet", |z| margin_triplet(z, Negatives::All, 0.5).map(drop)),
        ("contrastive_accuracy", |z| contrastive_accuracy(z).map(drop)),
        ("contrastive_accuracy_with", |z| contrastive_accuracy_with(z, Similarity::Dot).map(drop)),
        ("alignment", |z| alignment(z).map(drop)),
        ("uniformity", |z| uniformity(z).map(drop)),
    ];
    let z = embeddings(6, 3, 1);
    for (name, of) in all {
        assert!(of(&z).is_ok(), "{name}");
        for wrong in [z.get(0), z.unsqueeze(0), z.narrow(0, 0, 0), z.narrow(1, 0, 0)] {
            let error = of(&wrong).unwrap_err();
            assert!(
                matches!(&error, LossError::Embeddings { name: "z", got, .. } if *got == wrong.size()),
                "{name}: {error}"
            );
        }
        for kind in [Kind::Int64, Kind::Bool, Kind::ComplexFloat] {
            let error = of(&z.to_kind(kind)).unwrap_err();
            assert!(matches!(error, LossError::Embeddings { kind: got, .. } if got == kind), "{name}: {error}");
        }
        for rows in [1, 2, 3, 5] {
            let error = of(&z.narrow(0, 0, rows)).unwrap_err();
            assert!(matches!(error, LossError::Pairs { rows: got } if got == rows), "{name}: {error}");
        }
    }
}

#[test]
fn of_temperatures_and_margins() {
    let z = embeddings(6, 3, 1);
    let labels = Tensor::from_slice(&[0_i64, 0, 0, 1, 1, 1]);
    for temperature in WRONG_TEMPERATURES {
        for result in [
            nt_xent(&z, temperature),
            nt_xent_tiled(&z, temperature),
            nt_logistic(&z, Negatives::All, temperature),
            sup_con(&z, &labels, temperature),
            info_nce(&z, &z, &z, temperature),
        ] {
            assert!(matches!(result, Err(LossError::Temperature(_))), "{temperature}");
        }
    }
    assert_eq!(nt_xent(&z, -0.5).unwrap_err().to_string(), "temperature must be > 0 and finite, got -0.5");
    for margin in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(margin_triplet(&z, Negatives::All, margin), Err(LossError::Margin(_))), "{margin}");
    }
}

#[test]
fn of_labels() {
    let z = embeddings(5, 3, 1);
    let labels = Tensor::from_slice(&[4_i64, 7, 4, 7, 4]);
    assert!(sup_con(&z, &labels, 0.5).is_ok());
    for wrong in [labels.narrow(0, 0, 4), labels.unsqueeze(0), labels.to_kind(Kind::Float), labels.to_kind(Kind::Int)] {
        assert!(matches!(sup_con(&z, &wrong, 0.5), Err(LossError::Labels { rows: 5, .. })), "{wrong:?}");
    }
    assert!(matches!(sup_con(&z.get(0), &labels, 0.5), Err(LossError::Embeddings { .. })));

    let error = sup_con(&z, &Tensor::from_slice(&[4_i64, 7, 4, -3, 7]), 0.5).unwrap_err();
    assert!(matches!(error, LossError::NoPositive { row: 3, label: -3 }), "{error}");
    assert!(error.to_string().starts_with("row 3 has no positive: no other row has its label -3"), "{error}");
    assert!(check_positives(&[1, 2, 2, 1]).is_ok());
    assert!(matches!(check_positives(&[1, 2, 2]), Err(LossError::NoPositive { row: 0, label: 1 })));
}

#[test]
fn of_queries_keys_and_queues() {
    let [query, key, queue] = [(3, 1), (3, 2), (6, 3)].map(|(rows, seed)| embeddings(rows, 4, seed));
    let of = |query: &Tensor, key: &Tensor, queue: &Tensor| info_nce(query, key, queue, 0.5).unwrap_err();
    let whole = |tensor: &Tensor| tensor.to_kind(Kind::Int64);
    assert!(info_nce(&query, &key, &queue, 0.5).is_ok());

    assert!(matches!(of(&query.get(0), &key, &queue), LossError::Embeddings { name: "query", .. }));
    assert!(matches!(of(&query, &key.get(0), &queue), LossError::Embeddings { name: "key", .. }));
    assert!(matches!(of(&query, &key, &queue.get(0)), LossError::Embeddings { name: "queue", .. }));
    assert!(matches!(of(&whole(&query), &key, &queue), LossError::Embeddings { name: "query", .. }));
    assert!(matches!(of(&query, &whole(&key), &queue), LossError::Embeddings { name: "key", .. }));
    assert!(matches!(of(&query, &key, &whole(&queue)), LossError::Embeddings { name: "queue", .. }));
    let empty = Tensor::zeros([0, 4], (Kind::Double, Device::Cpu));
    assert!(matches!(of(&query, &key, &empty), LossError::Embeddings { name: "queue", .. }));

    let error = of(&query, &key.narrow(0, 0, 2), &queue);
    assert!(matches!(error, LossError::Rows { name: "key", expected: 3, got: 2 }), "{error}");
    let error = of(&query, &key.narrow(1, 0, 3), &queue);
    assert!(matches!(error, LossError::Width { name: "key", expected: 4, got: 3 }), "{error}");
    let error = of(&query, &key, &queue.narrow(1, 0, 3));
    assert!(matches!(error, LossError::Width { name: "queue", expected: 4, got: 3 }), "{error}");
}
