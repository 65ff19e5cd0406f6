package training_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
	"github.com/hibana-engine/hibana/ml/training"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// mlp is l1 relu l2 relu l3, with dropout where asked for.
type mlp struct {
	links.Chain
	l1, l2, l3 *links.LinearLink
	dropout    float32
}

func newMLP() *mlp {
	n := &mlp{}
	n.l1 = links.Add(n, "l1", links.Linear(9))
	n.l2 = links.Add(n, "l2", links.Linear(9))
	n.l3 = links.Add(n, "l3", links.Linear(4))
	return n
}

func (n *mlp) Forward(x *nn.Variable) *nn.Variable {
	h := functions.ReLU(n.l2.Forward(functions.ReLU(n.l1.Forward(x))))
	if n.dropout > 0 {
		h = functions.Dropout(h, n.dropout)
	}
	return n.l3.Forward(h)
}

// blobs are n points around four corners, labelled by corner.
func blobs(n int) datasets.Dataset[datasets.Example] {
	return datasets.Func(n, func(i int) (datasets.Example, error) {
		x := make([]float32, 6)
		for k := range x {
			x[k] = float32(math.Sin(float64(37*i+11*k))) / 2
		}
		x[0] += float32(2*(i%2) - 1)
		x[1] += float32(i/2%2*2 - 1)
		return datasets.Example{X: x, Shape: []int{6}, Label: int32(i % 4)}, nil
	})
}

func newTrainer(t *testing.T, dir string, epochs float64, opts ...training.Option) (*training.Trainer, *links.ClassifierLink) {
	t.Helper()
	net := newMLP()
	net.dropout = 0.2
	model := links.Classifier(net)
	optimizer := optimizers.Adam(model)
	optimizer.Alpha = 0.01
	trainer := training.New(optimizer, iterators.Serial(blobs(25), 5), training.Epochs(epochs), append(opts, training.Out(dir))...)
	return trainer, model
}

func TestTrains(t *testing.T) {
	dir := t.TempDir()
	trainer, model := newTrainer(t, dir, 40)
	log := extensions.LogReport()
	trainer.Extend(extensions.Evaluate(blobs(40)), log, extensions.PlotReport("loss.png"))
	if err := trainer.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	records := log.Records()
	if len(records) != 40 {
		t.Fatalf("%d records of 40 epochs", len(records))
	}
	last := records[39]
	if last["epoch"] != 40 || last["iteration"] != 200 || last["validation/main/accuracy"] != 1 || last["main/loss"] > records[0]["main/loss"]/3 {
		t.Errorf("the last record is %v, the first %v", last, records[0])
	}
	for _, name := range []string{"log", "loss.png"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	means, err := extensions.Evaluate(blobs(40)).Of(t.Context(), model)
	if err != nil || means["loss"] != last["validation/main/loss"] {
		t.Errorf("evaluating again gives %v, %v", means, err)
	}
}

// TestResume interrupts a training with dropout and shuffling in the middle of
// an epoch and continues it in new objects: every parameter must come out as if
// nothing had happened.
func TestResume(t *testing.T) {
	whole, want := newTrainer(t, t.TempDir(), 6)
	whole.Extend(extensions.LogReport(), extensions.ExponentialShift("alpha", 0.9))
	if err := whole.Run(t.Context()); err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why := errors.New("enough for today")
	first, _ := newTrainer(t, dir, 6)
	save := extensions.Snapshot()
	save.OnStop, save.Keep = true, 2
	first.Extend(extensions.LogReport(), extensions.ExponentialShift("alpha", 0.9), save,
		training.Func("stopper", training.Iterations(13), func(context.Context, *training.Trainer) error { cancel(why); return nil }))
	if err := first.Run(ctx); !errors.Is(err, training.ErrStopped) || !errors.Is(err, why) {
		t.Fatalf("got %v, want ErrStopped and the cause", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "snapshot_iter_*"))
	if err != nil || len(files) != 2 || filepath.Base(files[1]) != "snapshot_iter_13" {
		t.Fatalf("snapshots %v, %v; want those of iterations 10 and 13", files, err)
	}

	second, got := newTrainer(t, dir, 6)
	again := extensions.Snapshot()
	again.Resume = true
	log := extensions.LogReport()
	second.Extend(log, extensions.ExponentialShift("alpha", 0.9), again)
	if err := second.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(log.Records()); n != 6 || second.Updater().Iteration() != 30 {
		t.Errorf("%d records, iteration %d; want 6 and 30", n, second.Updater().Iteration())
	}
	compareParams(t, got, want)
}

// TestStrayParameter: a layer that was never added to the network would stay as
// it is for ever.
func TestStrayParameter(t *testing.T) {
	run := func(frozen bool) error {
		net, stray := newMLP(), links.Linear(9)
		loss := func(tape *nn.Tape, batch []datasets.Example, _ *links.Report) *nn.Variable {
			x, labels, err := datasets.Stack(batch)
			if err != nil {
				return nn.Failed(tape, "loss", err)
			}
			h := stray.Forward(tape.Input(x))
			if frozen {
				h = h.Detach()
			}
			return functions.SoftmaxCrossEntropy(net.Forward(h), tape.Input(labels))
		}
		return training.New(optimizers.SGD(net), iterators.Serial(blobs(25), 5), training.Iterations(2),
			training.Loss(loss), training.Out(t.TempDir())).Run(t.Context())
	}
	if err := run(false); !errors.Is(err, training.ErrStray) || !strings.Contains(err.Error(), "W (9, 6)") {
		t.Errorf("a layer that isn't in the network: %v", err)
	}
	if err := run(true); err != nil {
		t.Errorf("a layer that is meant to stay as it is: %v", err)
	}
}

func TestProgress(t *testing.T) {
	for name, stop := range map[string]training.Trigger{"epochs": training.Epochs(2), "iterations": training.Iterations(10)} {
		trainer := training.New(optimizers.SGD(links.Classifier(newMLP())), iterators.Serial(blobs(25), 5), stop)
		var seen []float64
		trainer.Extend(training.Func("note", training.Iterations(1), func(_ context.Context, tr *training.Trainer) error {
			done, _ := tr.Progress()
			seen = append(seen, math.Round(100*done))
			return nil
		}))
		if done, known := trainer.Progress(); done != 0 || !known {
			t.Errorf("%s: %v before the first step", name, done)
		}
		if err := trainer.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []float64{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}; !slices.Equal(seen, want) {
			t.Errorf("%s: progress was %v %%, want %v", name, seen, want)
		}
	}
}

// TestResumeInsideEvaluation stops a training while the network is evaluated:
// the evaluation is made again, and nothing is missing in the log.
func TestResumeInsideEvaluation(t *testing.T) {
	whole, want := newTrainer(t, t.TempDir(), 4)
	wantLog := extensions.LogReport()
	whole.Extend(extensions.Evaluate(blobs(300)), wantLog, extensions.ExponentialShift("alpha", 0.9))
	if err := whole.Run(t.Context()); err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, all := 0, blobs(300)
	stopping := datasets.Func(300, func(i int) (datasets.Example, error) {
		if seen++; seen == 500 { // in the second evaluation
			cancel()
		}
		return all.At(i)
	})
	first, _ := newTrainer(t, dir, 4)
	save := extensions.Snapshot()
	save.OnStop = true
	first.Extend(extensions.Evaluate(stopping), extensions.LogReport(), extensions.ExponentialShift("alpha", 0.9), save)
	if err := first.Run(ctx); !errors.Is(err, training.ErrStopped) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want ErrStopped and the cause", err)
	}

	second, got := newTrainer(t, dir, 4)
	again, log := extensions.Snapshot(), extensions.LogReport()
	again.Resume = true
	second.Extend(extensions.Evaluate(all), log, extensions.ExponentialShift("alpha", 0.9), again)
	if err := second.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	compareParams(t, got, want)
	if len(log.Records()) != 4 {
		t.Fatalf("%d records, want 4", len(log.Records()))
	}
	for i, r := range log.Records() {
		for key, v := range wantLog.Records()[i] {
			if key != "elapsed_time" && r[key] != v {
				t.Errorf("record %d: %s is %v, want %v", i, key, r[key], v)
			}
		}
	}
}

func compareParams(t *testing.T, got, want links.Link) {
	t.Helper()
	params := map[string][]float32{}
	for path, p := range links.Params(want) {
		params[path] = p.Floats()
	}
	for path, p := range links.Params(got) {
		if !slices.Equal(p.Floats(), params[path]) {
			t.Errorf("%s differs", path)
		}
	}
}

// TestChainerSnapshot loads a whole Trainer that Chainer 7.8.1 saved after two
// epochs and continues it: losses and parameters must be Chainer's.
func TestChainerSnapshot(t *testing.T) {
	entries, err := npz.ReadFile("testdata/trainer_snapshot_io.npz")
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]npz.Array{}
	for _, e := range entries {
		recorded[e.Name] = e.Array
	}
	xs, _ := recorded["X"].Float32s()
	labels, err := recorded["T"].Int64s()
	if err != nil {
		t.Fatal(err)
	}
	want, err := recorded["loss"].Float64s()
	if err != nil {
		t.Fatal(err)
	}
	model := links.Classifier(newMLP())
	optimizer := optimizers.Adam(model)
	trainer := training.New(optimizer, iterators.Serial(blobs(25), 5), training.Epochs(2))
	log := extensions.LogReport()
	trainer.Extend(log)
	if err := serializers.LoadNPZ("testdata/trainer_snapshot.npz", trainer); err != nil {
		t.Fatal(err)
	}
	if r := log.Records(); len(r) != 2 || r[1]["epoch"] != 2 || r[1]["iteration"] != 10 || !(r[1]["main/loss"] > 0) {
		t.Errorf("the log is %v", r)
	}
	if trainer.Updater().Iteration() != 10 || trainer.Updater().Epoch() != 2 || optimizer.Step() != 10 {
		t.Errorf("iteration %d, epoch %d, step %d; want 10, 2, 10", trainer.Updater().Iteration(), trainer.Updater().Epoch(), optimizer.Step())
	}
	for step := range want {
		batch := make([]datasets.Example, 5)
		for i := range batch {
			k := 5*step + i
			batch[i] = datasets.Example{X: xs[6*k : 6*k+6], Shape: []int{6}, Label: int32(labels[k])}
		}
		links.ClearGrads(model)
		loss := model.Loss(nn.NewTape(nn.Train), batch, nil)
		if err := errors.Join(loss.Backward(), optimizer.Update()); err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(float64(loss.Float()) - want[step]); !(d <= 1e-5+1e-4*math.Abs(want[step])) {
			t.Errorf("loss of step %d is %v, want %v", step, loss.Float(), want[step])
		}
	}
	for path, p := range links.Params(model) {
		after, err := recorded["after:/"+path].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range p.Floats() {
			if d := math.Abs(float64(v - after[i])); !(d <= 1e-5+1e-4*math.Abs(float64(after[i]))) {
				t.Fatalf("%s[%d] = %v, want %v", path, i, v, after[i])
			}
		}
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	a, _ := newTrainer(t, t.TempDir(), 1.4)
	a.Extend(extensions.Evaluate(blobs(8)), extensions.LogReport(), extensions.PlotReport("p.png"), extensions.ExponentialShift("alpha", 0.5))
	if err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if err := serializers.WriteNPZ(&first, a); err != nil {
		t.Fatal(err)
	}
	b, _ := newTrainer(t, t.TempDir(), 1.4)
	b.Extend(extensions.Evaluate(blobs(8)), extensions.LogReport(), extensions.PlotReport("p.png"), extensions.ExponentialShift("alpha", 0.5))
	if err := serializers.LoadNPZBytes(first.Bytes(), b); err != nil {
		t.Fatal(err)
	}
	if err := serializers.WriteNPZ(&second, b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("a loaded trainer is saved differently")
	}
	other := training.New(optimizers.MomentumSGD(links.Classifier(newMLP())), iterators.Serial(blobs(25), 5), training.Epochs(1))
	if err := serializers.LoadNPZBytes(first.Bytes(), other); !errors.Is(err, serializers.ErrExtra) && !errors.Is(err, serializers.ErrMissing) {
		t.Errorf("Adam's state in MomentumSGD: %v", err)
	}
}

func TestReportsWhatDoesNotFit(t *testing.T) {
	net := newMLP()
	wrong := datasets.Func(10, func(i int) (datasets.Example, error) {
		return datasets.Example{X: make([]float32, 6+i/5), Shape: []int{6 + i/5}}, nil
	})
	exploding := func(x float32) *training.Trainer {
		hot := datasets.Func(10, func(i int) (datasets.Example, error) {
			return datasets.Example{X: []float32{1, 2, x, 4, 5, 6}, Shape: []int{6}}, nil
		})
		return training.New(optimizers.SGD(links.Classifier(newMLP())), iterators.Serial(hot, 5), training.Epochs(1))
	}
	broken := links.Classifier(newMLP())
	tests := []struct {
		name    string
		trainer *training.Trainer
		says    []string
	}{
		{"no loss", training.New(optimizers.SGD(net), iterators.Serial(blobs(8), 2), training.Epochs(1)), []string{"no Loss method", "links.Classifier"}},
		{"other examples", training.New(optimizers.SGD(links.Classifier(net)), iterators.Serial(datasets.Slice[string]{"a"}, 1), training.Epochs(1)), []string{"batches of string"}},
		{"loss of another type", training.New(optimizers.SGD(net), iterators.Serial(blobs(8), 2), training.Epochs(1),
			training.Loss(func(*nn.Tape, []string, *links.Report) *nn.Variable { return nil })), []string{"training.Loss takes"}},
		{"shapes within a batch", training.New(optimizers.SGD(links.Classifier(newMLP())), iterators.Serial(wrong, 10, iterators.Ordered()), training.Epochs(1)), []string{"iteration 1", "example 5 has shape (7)"}},
		{"shapes between batches", training.New(optimizers.SGD(links.Classifier(newMLP())), iterators.Serial(wrong, 5, iterators.Ordered()), training.Epochs(1)), []string{"iteration 2", "layer predictor/l1", "training_test.go"}},
		{"infinite input", exploding(float32(math.Inf(1))), []string{"the loss is NaN", "Linear (layer predictor/l1)", "+Inf"}},
		{"broken weights", training.New(optimizers.SGD(broken), iterators.Serial(blobs(8), 2), training.Epochs(1)), []string{"the loss is NaN", "predictor/l2/W has NaN"}},
		{"no trigger", training.New(optimizers.SGD(broken), iterators.Serial(blobs(8), 2), nil), []string{"stop trigger is nil"}},
		{"no updater", training.NewWithUpdater(nil, training.Epochs(1)), []string{"updater is nil"}},
		{"no optimizer", training.New(nil, iterators.Serial(blobs(8), 2), training.Epochs(1)), []string{"needs an optimizer"}},
		{"no iterator", training.New[datasets.Example](optimizers.SGD(broken), nil, training.Epochs(1)), []string{"an iterator"}},
		{"no number of epochs", training.New(optimizers.SGD(broken), iterators.Serial(blobs(8), 2), training.Epochs(math.NaN())), []string{"stop trigger fires every NaN"}},
		{"negative iterations", training.New(optimizers.SGD(broken), iterators.Serial(blobs(8), 2), training.Iterations(-3)), []string{"every -3"}},
		{"extension without a trigger", withExtension(training.At(nil, extensions.LogReport())), []string{"extension LogReport is nil"}},
		{"one pass only", training.New(optimizers.SGD(links.Classifier(newMLP())), iterators.Serial(blobs(8), 4, iterators.Once()), training.Epochs(2)), []string{"iterators.Once", "Epochs"}},
		{"losses, not a loss", training.New(optimizers.SGD(links.Classifier(newMLP())), iterators.Serial(blobs(8), 4), training.Epochs(2), training.Loss(perExample)), []string{"the loss has shape (4), want one element", "functions.Mean"}},
		{"unknown setting", withShift(newMLP()), []string{"ExponentialShift", `no setting "alpha"`}},
	}
	for _, p := range links.Params(broken) {
		if p.Name() == "predictor/l2/W" {
			if err := p.Initialize(9, 9); err != nil {
				t.Fatal(err)
			}
			p.Floats()[3] = float32(math.NaN())
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.trainer.Run(t.Context())
			if err == nil {
				t.Fatal("it ran")
			}
			for _, text := range tt.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
		})
	}
}

func withExtension(e training.Extension) *training.Trainer {
	trainer := training.New(optimizers.SGD(links.Classifier(newMLP())), iterators.Serial(blobs(8), 2), training.Epochs(1))
	trainer.Extend(e)
	return trainer
}

// perExample forgets to take the mean.
func perExample(tape *nn.Tape, batch []datasets.Example, _ *links.Report) *nn.Variable {
	return nn.From(tape, make([]float32, len(batch)), len(batch))
}

func withShift(net *mlp) *training.Trainer {
	trainer := training.New(optimizers.SGD(links.Classifier(net)), iterators.Serial(blobs(8), 2), training.Epochs(1))
	trainer.Extend(extensions.ExponentialShift("alpha", 0.5))
	return trainer
}

// TestCheckFinite finds a NaN in the gradients, which a finite loss hides.
func TestCheckFinite(t *testing.T) {
	model := newMLP()
	loss := func(tape *nn.Tape, batch []datasets.Example, _ *links.Report) *nn.Variable {
		x, _, err := datasets.Stack(batch)
		if err != nil {
			return nn.Failed(tape, "loss", err)
		}
		zero := functions.MulScalar(model.Forward(tape.Input(x)), 0)
		return functions.Sum(functions.Sqrt(zero)) // the root's slope at 0 is infinite
	}
	run := func(opts ...training.Option) error {
		return training.New(optimizers.SGD(model), iterators.Serial(blobs(8), 4), training.Iterations(1), append(opts, training.Loss(loss))...).Run(t.Context())
	}
	err := run(training.CheckFinite())
	if !errors.Is(err, nn.ErrNotFinite) || !strings.Contains(err.Error(), "Backward of Sqrt") {
		t.Errorf("got %v, want the gradient of Sqrt blamed", err)
	}
	if err := run(); err != nil {
		t.Errorf("unchecked: %v", err)
	}
}
