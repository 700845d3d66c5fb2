//! The small problem that the golden numbers were made with, shared by the tests. Nothing is asserted here.

use panal_optim::{Optimizer, OptimizerSpec, ParamGroup};
use serde::Deserialize;
use tch::{Kind, Tensor};

/// `tests/golden/optimizers.json`.
#[derive(Deserialize)]
pub(crate) struct Golden {
    /// Learning rate of each step.
    pub(crate) rates: Vec<f64>,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) spec: OptimizerSpec,
    pub(crate) b_scale: f64,
    pub(crate) x: Vec<f32>,
    pub(crate) y: Vec<f32>,
    pub(crate) start: Params,
    pub(crate) after: Vec<Params>,
}

#[derive(Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Params {
    pub(crate) w: Vec<f32>,
    pub(crate) b: Vec<f32>,
    pub(crate) s: Vec<f32>,
}

impl Params {
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> {
        self.w.iter().chain(&self.b).chain(&self.s).copied()
    }
}

pub(crate) fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/optimizers.json")).unwrap()
}

/// `mean((tanh(x w^T + b) s - y)^2)` and its optimizer.
pub(crate) struct Problem {
    x: Tensor,
    y: Tensor,
    w: Tensor,
    b: Tensor,
    s: Tensor,
    pub(crate) optimizer: Optimizer,
}

impl Problem {
    pub(crate) fn new(case: &Case, start: &Params) -> Self {
        let leaf = |values: &[f32], shape: &[i64]| Tensor::from_slice(values).reshape(shape).set_requires_grad(true);
        let (w, b, s) = (leaf(&start.w, &[3, 5]), leaf(&start.b, &[3]), leaf(&start.s, &[3]));
        let group = |name: &str, params: &[(&str, &Tensor)], lr_scale| ParamGroup {
            name: name.into(),
            params: params.iter().map(|(name, tensor)| (name.to_string(), tensor.shallow_clone())).collect(),
            lr_scale,
        };
        let groups = vec![group("scaled", &[("b", &b)], case.b_scale), group("others", &[("w", &w), ("s", &s)], 1.0)];
        let optimizer = Optimizer::new(&case.spec, groups).unwrap();
        let (x, y) = (Tensor::from_slice(&case.x).reshape([11, 5]), Tensor::from_slice(&case.y).reshape([11, 3]));
        Self { x, y, w, b, s, optimizer }
    }

    /// Step number `step`; in steps 4 to 6 `s` has no gradient.
    pub(crate) fn step(&mut self, step: usize, lr: f64) {
        self.optimizer.zero_grad().unwrap();
        let s = if (4..7).contains(&step) { self.s.detach() } else { self.s.shallow_clone() };
        let out = (self.x.matmul(&self.w.tr()) + &self.b).tanh() * s;
        (out - &self.y).square().mean(Kind::Float).backward();
        self.optimizer.step(lr).unwrap();
    }

    pub(crate) fn params(&self) -> Params {
        let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor.detach().reshape([-1])).unwrap();
        Params { w: values(&self.w), b: values(&self.b), s: values(&self.s) }
    }
}
