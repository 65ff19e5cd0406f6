package ml

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// LoadedModel is a version of a model that a batch program works with.
type LoadedModel struct {
	sc      *rdd.Context
	name    string
	file    []byte
	digest  string
	version *version // nil if the file can't be used, which the program was told
}

// LoadModel loads a version of a model into a batch program: what [Model] is to streams.
// The file must be the same in every process: one that the program carries, the result of
// an action ([TrainRDD] is one) or an rdd.Value. One that can't be used fails the program at
// its next action.
func LoadModel(sc *rdd.Context, name string, build func() Network, npz []byte, rowShape ...int) *LoadedModel {
	load, err := networkLoader(build, rowShape)
	return loadModel(sc, "ml.LoadModel "+name, name, npz, load, err)
}

// LoadONNX is [LoadModel] for the bytes of an ONNX file.
func LoadONNX(sc *rdd.Context, name string, file []byte, opts ...onnx.Option) *LoadedModel {
	return loadModel(sc, "ml.LoadONNX "+name, name, file, onnxLoader(opts), nil)
}

// loadModel compiles the file, unless something is wrong already.
func loadModel(sc *rdd.Context, op, name string, file []byte, load loader, wrong error) *LoadedModel {
	m := &LoadedModel{sc: sc, name: name, file: file, digest: modelstore.Digest(file)}
	if wrong == nil {
		wrong = modelstore.CheckName(name)
	}
	if wrong == nil {
		if m.version, wrong = load(file); wrong != nil {
			wrong = unusable(file, wrong)
		}
	}
	if wrong != nil {
		failAt(sc, op, wrong)
	}
	return m
}

// failAt records an error of a batch program with its place.
func failAt(sc *rdd.Context, op string, err error) {
	sc.Lineage().Fail(&rdd.OpError{Op: op, Site: lineage.Caller(), Err: err})
}

// Name returns the model's name.
func (m *LoadedModel) Name() string { return m.name }

// Digest returns the version: the SHA-256 of its file, hexadecimal.
func (m *LoadedModel) Digest() string { return m.digest }

// Publish leaves the version for streams that follow the model of its name
// ([ModelRef.Follow]), in the store that --conf models.store names; see
// [engine.PublishModel].
func (m *LoadedModel) Publish() error {
	_, err := engine.PublishModel(m.sc, m.name, m.file)
	return err
}

// PredictRDD runs a model over the elements of an RDD, on executors, and keeps their
// order: what [Predict] is to streams. The Batch of its rows is 0.
func PredictRDD[T, U any](r *rdd.RDD[T], m *LoadedModel, encode func(v T, row []float32) error, decode func(v T, out Row) (U, error)) *rdd.RDD[U] {
	const op = "ml.PredictRDD"
	if m == nil {
		failAt(r.Context(), op, fmt.Errorf("%w: it is nil; make one with ml.LoadModel or ml.LoadONNX", ErrModel))
		m = &LoadedModel{}
	}
	if encode == nil || decode == nil {
		failAt(r.Context(), op+" "+m.name, rdd.ErrNilFunction)
	}
	row := Row{Model: m.name, Digest: m.digest}
	return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[T, error]) iter.Seq2[U, error] {
		return func(yield func(U, error) bool) {
			p := &predictor[T, U]{row: row, encode: encode, decode: decode, yield: yield}
			if err := p.run(m.version, in); err != nil {
				var none U
				yield(none, err)
			}
		}
	})
}
