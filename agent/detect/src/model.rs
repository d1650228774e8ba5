//! Learned models: embedded, checked by hash, run on one thread.
//!
//! The bytes stand in `agent/detect/models/` with their origin and licence in `NOTICE`. A model
//! whose bytes are not those that were measured is refused, so that an incident's model hash
//! says what scored it.
//!
//! # Invariants
//! * A run is a pure function of its inputs: one thread, so that sums are taken in one order.
//! * A detector's version rises when its model's hash changes.

use core::fmt;
use std::sync::Arc;

use rten::{ModelOptions, RunOptions, ThreadPool, ValueOrView, ValueView};
use rten_tensor::prelude::*;
use sha2::{Digest as _, Sha256};

macro_rules! files {
    ($($(#[$doc:meta])* $name:ident = $file:literal, $sha256:literal;)*) => {
        /// A model that is built in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ModelFile {
            $($(#[$doc])* $name,)*
        }

        impl ModelFile {
            /// Every model, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the file's name in `agent/detect/models/`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $file,)* }
            }

            /// Returns the SHA-256 that the file must have, as 64 hexadecimal digits: what an
            /// incident says of the model that scored it.
            #[must_use]
            pub const fn sha256(self) -> &'static str {
                match self { $(Self::$name => $sha256,)* }
            }

            const fn bytes(self) -> &'static [u8] {
                match self { $(Self::$name => include_bytes!(concat!("../models/", $file)),)* }
            }
        }
    };
}

files! {
    /// CenterFace: faces with five points each (`1 x 3 x H x W`, both multiples of 32).
    Faces = "centerface_q8.onnx",
        "c7d44810285be89608943a3af2738bda195261534424869c9229d27ce0374c95";
    /// MediaPipe's face mesh: 468 points of one face crop.
    Mesh = "mp_mesh_q8.onnx",
        "0a7bcc2b4d81434277162b34eddeec3232b2fb65058877a07ae0f9a8fb3ce80f";
    /// MediaPipe's iris: eye contour and iris points of one eye crop.
    Iris = "mp_iris_q8.onnx",
        "9da4af37918ce5eb75851a37d08cbff9852e94564e723019e123686bd457d51c";
    /// dlib's ResNet: the 128 numbers of one aligned face.
    Identity = "dlibres_q8.onnx",
        "ff48150328d7c346256134acb24f42e6d5cc418d659327d393d99f096eea15f1";
    /// NanoDet: the 80 kinds of things of COCO.
    Things = "nanodet_q8.onnx",
        "26f017d75db76cd9ad0b3ae1ebb1e829a9c0fecf888d32921f1fc39ca368f48e";
    /// Silero: speech or not, 512 samples at 16 kHz a step.
    Speech = "silero_vad_16k_op15.onnx",
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49";
    /// CAM++: the 192 numbers of one voice.
    Voice = "campp_q8.onnx",
        "03160b38be8159d1b56312f9a2c11424b1da485ea9efbed9fc9aea769f430445";
}

/// Says why a model was not loaded or gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The bytes are not those that were measured.
    #[error("{file} has SHA-256 {found}")]
    Hash {
        /// The file's name.
        file: &'static str,
        /// The hash of the bytes found.
        found: String,
    },
    /// The bytes are no model that the runtime reads.
    #[error("{file} cannot be read")]
    Load {
        /// The file's name.
        file: &'static str,
        /// Why.
        #[source]
        source: Box<rten::LoadError>,
    },
    /// An input's values do not fill its shape.
    #[error("{count} values do not fill input `{name}` of shape {shape:?}")]
    Shape {
        /// The input's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Values given.
        count: usize,
    },
    /// The runtime refused the run.
    #[error("{file} cannot be run")]
    Run {
        /// The file's name.
        file: &'static str,
        /// Why.
        #[source]
        source: Box<rten::RunError>,
    },
    /// An output is not what the caller reads.
    #[error("{file} gave no such output as `{output}`")]
    Output {
        /// The file's name.
        file: &'static str,
        /// The output's name.
        output: String,
    },
}

/// One input of a run.
#[derive(Debug, Clone, Copy)]
pub struct NamedInput<'a> {
    /// The input's name in the model.
    pub name: &'a str,
    /// Its shape; empty for a single number.
    pub shape: &'a [usize],
    /// Its values, row by row.
    pub values: Values<'a>,
}

/// An input's values, lent.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Real numbers.
    Real(&'a [f32]),
    /// Whole numbers, also for inputs of 64 bits.
    Whole(&'a [i32]),
}

/// One output of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The shape.
    pub shape: Vec<usize>,
    /// The values, row by row.
    pub values: Vec<f32>,
}

/// A model in memory, ready to run.
pub struct Model {
    file: ModelFile,
    graph: rten::Model,
    thread: Arc<ThreadPool>,
}

impl Model {
    /// Checks and loads a built-in model.
    ///
    /// # Errors
    /// `Hash` where the bytes are others than those that were measured, `Load` where the runtime
    /// cannot read them.
    pub fn load(file: ModelFile) -> Result<Self, ModelError> {
        Self::load_bytes(file, file.bytes())
    }

    fn load_bytes(file: ModelFile, bytes: &'static [u8]) -> Result<Self, ModelError> {
        let found = hex::encode(Sha256::digest(bytes));
        if found != file.sha256() {
            return Err(ModelError::Hash {
                file: file.name(),
                found,
            });
        }
        let graph = ModelOptions::with_all_ops()
            .load_static_slice(bytes)
            .map_err(|source| ModelError::Load {
                file: file.name(),
                source: Box::new(source),
            })?;
        Ok(Self {
            file,
            graph,
            thread: Arc::new(ThreadPool::with_num_threads(1)),
        })
    }

    /// Returns which model it is.
    #[must_use]
    pub const fn file(&self) -> ModelFile {
        self.file
    }

    /// Returns the SHA-256 of the model's file as 64 hexadecimal digits.
    #[must_use]
    pub const fn sha256(&self) -> &'static str {
        self.file.sha256()
    }

    /// Runs the model on the calling thread's behalf, on one thread, and returns the outputs in
    /// the order in which they were named.
    ///
    /// # Errors
    /// `Shape` where an input's values do not fill its shape, `Run` where a name is unknown or the
    /// runtime refuses the inputs, `Output` where an output holds no real numbers.
    pub fn run(
        &self,
        inputs: &[NamedInput<'_>],
        outputs: &[&str],
    ) -> Result<Vec<Tensor>, ModelError> {
        let given = inputs
            .iter()
            .map(|input| Ok((self.node(input.name)?, input.view()?)))
            .collect::<Result<Vec<_>, ModelError>>()?;
        let wanted = outputs
            .iter()
            .map(|name| self.node(name))
            .collect::<Result<Vec<_>, ModelError>>()?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.thread)));
        let found = self
            .graph
            .run(given, &wanted, Some(options))
            .map_err(|source| self.refused(source))?;
        let named = outputs.iter().zip(found);
        named
            .map(|(name, value)| self.tensor(name, value))
            .collect()
    }

    fn node(&self, name: &str) -> Result<rten::NodeId, ModelError> {
        self.graph
            .node_id(name)
            .map_err(|source| self.refused(source))
    }

    fn tensor(&self, name: &str, value: rten::Value) -> Result<Tensor, ModelError> {
        let tensor = value
            .into_tensor::<f32>()
            .ok_or_else(|| ModelError::Output {
                file: self.file.name(),
                output: name.to_owned(),
            })?;
        Ok(Tensor {
            shape: tensor.shape().to_vec(),
            values: tensor.to_vec(),
        })
    }

    fn refused(&self, source: rten::RunError) -> ModelError {
        ModelError::Run {
            file: self.file.name(),
            source: Box::new(source),
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("file", &self.file).finish()
    }
}

impl<'a> NamedInput<'a> {
    /// Names an input of real numbers.
    #[must_use]
    pub const fn real(name: &'a str, shape: &'a [usize], values: &'a [f32]) -> Self {
        Self {
            name,
            shape,
            values: Values::Real(values),
        }
    }

    /// Names an input of whole numbers.
    #[must_use]
    pub const fn whole(name: &'a str, shape: &'a [usize], values: &'a [i32]) -> Self {
        Self {
            name,
            shape,
            values: Values::Whole(values),
        }
    }

    fn view(&self) -> Result<ValueOrView<'a>, ModelError> {
        let (view, count) = match self.values {
            Values::Real(values) => (ValueView::from_shape(self.shape, values).ok(), values.len()),
            Values::Whole(values) => (ValueView::from_shape(self.shape, values).ok(), values.len()),
        };
        view.map(ValueOrView::View)
            .ok_or_else(|| ModelError::Shape {
                name: self.name.to_owned(),
                shape: self.shape.to_vec(),
                count,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_the_hash_that_stands_in_the_list_and_is_named_in_the_notice() {
        let list = include_str!("../models/SHA256SUMS");
        let notice = include_str!("../models/NOTICE");
        assert_eq!(list.lines().count(), ModelFile::ALL.len());
        for file in ModelFile::ALL {
            let line = format!("{}  {}", file.sha256(), file.name());
            assert!(list.lines().any(|found| found == line), "{line}");
            assert!(notice.contains(file.name()), "{file:?}");
            Model::load(*file).expect("the model as committed");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let error = Model::load_bytes(ModelFile::Iris, ModelFile::Mesh.bytes())
            .expect_err("another model's bytes");
        assert!(matches!(error, ModelError::Hash { .. }), "{error}");
    }

    #[test]
    fn a_run_repeats_to_the_bit_and_wrong_inputs_are_refused_by_name() {
        let model = Model::load(ModelFile::Identity).expect("the model as committed");
        let values: Vec<f32> = (0..=249_u8).cycle().take(67_500).map(f32::from).collect();
        let shape = [1, 3, 150, 150];
        let run = |input| model.run(&[input], &["emb"]);
        let once = run(NamedInput::real("input", &shape, &values)).expect("a result");
        let again = run(NamedInput::real("input", &shape, &values)).expect("a result");
        assert_eq!(once, again);
        assert_eq!(once[0].shape, [1, 128]);

        let short = run(NamedInput::real("input", &shape, &values[1..])).expect_err("short");
        assert!(matches!(short, ModelError::Shape { .. }), "{short}");
        let unknown = run(NamedInput::real("output", &shape, &values)).expect_err("unknown");
        assert!(matches!(unknown, ModelError::Run { .. }), "{unknown}");
        let whole = run(NamedInput::whole("input", &[1], &[1])).expect_err("no picture");
        assert!(matches!(whole, ModelError::Run { .. }), "{whole}");
    }
}
