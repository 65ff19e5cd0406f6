package train

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
)

// line is a network of one weight.
type line struct {
	links.Chain
	l *links.LinearLink
}

// Loss is the mean square of what the network makes of the batch.
func (m *line) Loss(tape *nn.Tape, batch []float32, report *links.Report) *nn.Variable {
	y := m.l.Forward(nn.From(tape, batch, len(batch), 1))
	loss := functions.Mean(functions.Mul(y, y))
	report.Add("loss", loss)
	return loss
}

// The flags have the program's defaults, and the trainer prints and logs each epoch.
func TestTrainer(t *testing.T) {
	dir := t.TempDir()
	o := Options{Epochs: 7, Batch: 2}
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	o.AddTo(f, "numbers", "numbers a step", "weights")
	if err := f.Parse([]string{"--epochs", "3", "--dir", dir}); err != nil {
		t.Fatal(err)
	}
	if want := (Options{Epochs: 3, Batch: 2, Dir: dir}); o != want {
		t.Fatalf("%+v, want %+v", o, want)
	}
	m := &line{}
	m.l = links.Add(m, "l", links.Linear(1))
	var printed bytes.Buffer
	batches := iterators.Serial(datasets.Slice[float32]{1, 2, 3, 4}, o.Batch)
	trainer := Trainer(o, &printed, optimizers.SGD(m), batches, "main/loss")
	if err := trainer.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	header, rows, _ := strings.Cut(printed.String(), "\n")
	if got := strings.Fields(header); strings.Join(got, " ") != "epoch main/loss elapsed_time" || strings.Count(rows, "\n") != 3 {
		t.Errorf("it printed\n%s", &printed)
	}
	if _, err := os.Stat(filepath.Join(dir, "log")); err != nil {
		t.Error(err)
	}
}
