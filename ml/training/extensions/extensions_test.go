package extensions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
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
	"github.com/hibana-engine/hibana/ml/training"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// line learns y = 2x from examples that are x itself; a step reports "loss"
// and the number of examples seen.
type line struct {
	links.Chain
	l *links.LinearLink
}

func newLine() *line {
	n := &line{}
	n.l = links.Add(n, "l", links.Linear(1, links.InSize(1)))
	return n
}

func (n *line) Loss(tape *nn.Tape, batch []float32, report *links.Report) *nn.Variable {
	want := make([]float32, len(batch))
	for i, x := range batch {
		want[i] = 2 * x
	}
	loss := functions.MeanSquaredError(n.l.Forward(nn.From(tape, slices.Clone(batch), len(batch), 1)), nn.From(tape, want, len(batch), 1))
	report.Add("loss", loss)
	report.AddValue("size", float64(len(batch)))
	report.AddValue("first", float64(batch[0]))
	return loss
}

var points = datasets.Slice[float32]{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}

// train runs five batches of two an epoch with extensions.
func train(t *testing.T, dir string, epochs float64, list ...training.Extension) (*training.Trainer, *optimizers.SGDOptimizer) {
	t.Helper()
	o := optimizers.SGD(newLine())
	o.LR = 0.001
	trainer := training.New(o, iterators.Serial(points, 2, iterators.Ordered()), training.Epochs(epochs), training.Out(dir))
	trainer.Extend(list...)
	if err := trainer.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return trainer, o
}

func TestEvaluateWeighsBatches(t *testing.T) {
	e := extensions.Evaluate(points)
	e.BatchSize = 4
	means, err := e.Of(t.Context(), newLine())
	if err != nil {
		t.Fatal(err)
	}
	// Batches of 4, 4 and 2 that begin with 1, 5 and 9.
	if want := (4*1 + 4*5 + 2*9) / 10.0; math.Abs(means["first"]-want) > 1e-9 {
		t.Errorf("mean %v, want %v", means["first"], want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Of(ctx, newLine()); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled evaluation gives %v", err)
	}
	if _, err := e.Of(t.Context(), links.Linear(1)); err == nil || !strings.Contains(err.Error(), "batches of float32") {
		t.Errorf("a network without a loss gives %v", err)
	}
}

// TestEvaluateLeavesStates: a recurrent network that is evaluated goes on with
// the sequences of its training.
func TestEvaluateLeavesStates(t *testing.T) {
	lstm := links.LSTM(2)
	e := extensions.Evaluate(points)
	e.BatchSize = 3
	e.Loss = func(tape *nn.Tape, batch []float32, report *links.Report) *nn.Variable {
		loss := functions.Mean(lstm.Forward(nn.From(tape, slices.Clone(batch), len(batch), 1)))
		report.Add("loss", loss)
		return loss
	}
	lstm.Forward(nn.From(nil, []float32{1, 2}, 2, 1)) // the state has fewer rows than a batch
	c, h := lstm.State()
	if _, err := e.Of(t.Context(), lstm); err != nil {
		t.Fatal(err)
	}
	if c2, h2 := lstm.State(); c2 != c || h2 != h {
		t.Error("the evaluation changed the state")
	}
}

func TestLogAndPrint(t *testing.T) {
	dir := t.TempDir()
	log := extensions.LogReport()
	var table bytes.Buffer
	report := extensions.PrintReport("epoch", "iteration", "main/first", "validation/main/size", "absent")
	report.Out = &table
	train(t, dir, 2, report, extensions.Evaluate(points), log)
	want := []string{
		"epoch       iteration   main/first  validation/main/size  absent",
		"1           5           5           10                    ",
		"2           10          5           10                    ",
		""}
	if got := strings.Split(table.String(), "\n"); !slices.Equal(got, want) {
		t.Errorf("the table is\n%s\nwant\n%s", table.String(), strings.Join(want, "\n"))
	}
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	var records []extensions.Record
	if err := json.Unmarshal(text, &records); err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[1]["iteration"] != 10 || records[1]["main/size"] != 2 || len(log.Records()) != 2 {
		t.Errorf("the log is %s", text)
	}
}

func TestPrintNeedsLog(t *testing.T) {
	trainer := training.New(optimizers.SGD(newLine()), iterators.Serial(points, 2), training.Epochs(1))
	trainer.Extend(extensions.PrintReport())
	if err := trainer.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "extensions.LogReport()") {
		t.Errorf("got %v, want advice", err)
	}
}

func TestPlot(t *testing.T) {
	dir := t.TempDir()
	train(t, dir, 3, extensions.Evaluate(points), extensions.PlotReport("loss.png"))
	f, err := os.Open(filepath.Join(dir, "loss.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string]bool{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			colours[fmt.Sprint(r>>14, g>>14, b>>14)] = true
		}
	}
	if len(colours) < 4 { // paper, ink and two lines
		t.Errorf("the plot shows only the colours %v", colours)
	}
}

func TestExponentialShift(t *testing.T) {
	tests := []struct {
		factor, limit float64
		want          float64
	}{
		{0.5, 0, 0.001 / 8},
		{0.5, 0.0004, 0.0004},
		{2, 0, 0.008},
		{2, 0.003, 0.003},
	}
	for _, tt := range tests {
		x := extensions.ExponentialShift("lr", tt.factor)
		x.Limit = tt.limit
		if _, o := train(t, t.TempDir(), 3, x); math.Abs(o.LR-tt.want) > 1e-12 {
			t.Errorf("%v to %v: lr = %v, want %v", tt.factor, tt.limit, o.LR, tt.want)
		}
	}
}

func TestSnapshots(t *testing.T) {
	dir := t.TempDir()
	save := extensions.Snapshot()
	save.Keep = 2
	trainer, o := train(t, dir, 4, save, extensions.SnapshotModel(newLine(), "other_"))
	names := func(pattern string) []string {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range files {
			files[i] = filepath.Base(f)
		}
		return files
	}
	if got := names("snapshot_iter_*"); !slices.Equal(got, []string{"snapshot_iter_15", "snapshot_iter_20"}) {
		t.Errorf("snapshots %v", got)
	}
	if got := names("other_*"); len(got) != 4 {
		t.Errorf("models %v", got)
	}
	net := newLine()
	path := filepath.Join(dir, "snapshot_iter_20")
	if err := serializers.LoadNPZ(path, net, serializers.Prefix("updater/model:main/")); err != nil {
		t.Fatal(err)
	}
	if want := trainer.Updater().Optimizer().Target().(*line).l.W.Floats(); !slices.Equal(net.l.W.Floats(), want) {
		t.Errorf("the snapshot holds %v, the network %v", net.l.W.Floats(), want)
	}
	if o.Step() != 20 {
		t.Errorf("%d steps", o.Step())
	}
	if err := os.WriteFile(path, []byte("cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	resume := extensions.Snapshot()
	resume.Resume = true
	again := training.New(optimizers.SGD(newLine()), iterators.Serial(points, 2), training.Epochs(9), training.Out(dir))
	again.Extend(resume)
	if err := again.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "snapshot_iter_20") {
		t.Errorf("resuming from a broken file: %v", err)
	}
}

func TestTriggers(t *testing.T) {
	tests := []struct {
		name    string
		trigger training.Trigger
		want    []int // iterations of ten, five an epoch
	}{
		{"iterations", training.Iterations(3), []int{3, 6, 9}},
		{"epochs", training.Epochs(1), []int{5, 10}},
		{"half epochs", training.Epochs(0.4), []int{2, 4, 6, 8, 10}},
		{"points", training.AtEpochs(0.2, 1.5), []int{1, 8}},
		{"largest first", training.MaxValue("main/first"), []int{5}},
		{"smallest loss", training.MinValue("main/loss"), []int{5, 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var fired []int
			train(t, t.TempDir(), 2, training.Func("watch", tt.trigger, func(_ context.Context, tr *training.Trainer) error {
				fired = append(fired, tr.Updater().Iteration())
				return nil
			}))
			if !slices.Equal(fired, tt.want) {
				t.Errorf("fired at %v, want %v", fired, tt.want)
			}
		})
	}
}

func TestEarlyStopping(t *testing.T) {
	value := 0.0
	falling := extensions.ObserveValue("v", func(tr *training.Trainer) float64 {
		if tr.Updater().EpochDetail() <= 3 {
			value--
		}
		return value
	})
	trainer := training.New(optimizers.SGD(newLine()), iterators.Serial(points, 2), training.EarlyStopping("v", false, 2, 50))
	trainer.Extend(falling)
	if err := trainer.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Epoch 4 is still better on average than epoch 3; 5 and 6 are not.
	if got := trainer.Updater().Epoch(); got != 6 {
		t.Errorf("stopped after epoch %d, want 6", got)
	}
}

func TestSecondExtensionOfAName(t *testing.T) {
	trainer, _ := train(t, t.TempDir(), 1, extensions.LogReport(), extensions.LogReport())
	if trainer.Extension("LogReport") == nil || trainer.Extension("LogReport_1") == nil || trainer.Extension("LogReport_2") != nil {
		t.Error("extensions of one name must be numbered")
	}
}

func ExampleEvaluate() {
	model := newLine()
	before, err := extensions.Evaluate(points).Of(context.Background(), model)
	if err != nil {
		fmt.Println(err)
		return
	}
	optimizer := optimizers.SGD(model)
	trainer := training.New(optimizer, iterators.Serial(points, 2), training.Epochs(5))
	if err := trainer.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	after, err := extensions.Evaluate(points).Of(context.Background(), model)
	fmt.Println(after["loss"] < before["loss"]/10, err)
	// Output: true <nil>
}
