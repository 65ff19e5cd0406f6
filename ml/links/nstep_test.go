package links_test

import (
	"testing"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

// tagger embeds tokens, runs a recurrent net over them and scores every step.
type tagger struct {
	links.Chain
	embed *links.EmbedIDLink
	rnn   *links.NStepLink
	out   *links.LinearLink
}

func newTagger(rnn *links.NStepLink) *tagger {
	n := &tagger{}
	n.embed = links.Add(n, "embed", links.EmbedID(40, 10))
	n.rnn = links.Add(n, "rnn", rnn)
	n.out = links.Add(n, "out", links.Linear(4))
	return n
}

func TestNStep(t *testing.T) {
	tests := []struct {
		name string
		rnn  *links.NStepLink
	}{
		{"nstep_lstm", links.NStepLSTM(2, 10, 12, links.Dropout(0.3))},
		{"nstep_gru", links.NStepGRU(2, 10, 12, links.Dropout(0.3))},
		{"nstep_bilstm", links.NStepBiLSTM(2, 10, 12, links.Dropout(0.3))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			io := record(t, tt.name+"_io.npz")
			n := newTagger(tt.rnn)
			load(t, tt.name+".npz", n)
			tape := nn.NewTape(nn.Evaluate)
			var xs []*nn.Variable
			tokens := ints(t, io["tokens"])
			for _, length := range ints(t, io["lengths"]) {
				xs = append(xs, n.embed.Forward(nn.From(tape, tokens[:length], int(length))))
				tokens = tokens[length:]
			}
			hy, cy, ys := n.rnn.Forward(nil, nil, xs)
			all := functions.Concat(ys, 0)
			within(t, "hy", hy, io["hy"])
			if want, ok := io["cy"]; ok {
				within(t, "cy", cy, want)
			}
			within(t, "ys", all, io["ys"])
			within(t, "z", n.out.Forward(all), io["z"])
		})
	}
}

// TestNStepGoesOn reads sequences in two parts, handing the state over: the
// result must be that of one go, and gradients must reach every parameter.
func TestNStepGoesOn(t *testing.T) {
	for name, rnn := range map[string]*links.NStepLink{"lstm": links.NStepLSTM(2, 3, 4), "gru": links.NStepGRU(1, 3, 4)} {
		t.Run(name, func(t *testing.T) {
			long := nn.From(nil, wave(4*3), 4, 3)
			short := nn.From(nil, wave(2*3), 2, 3)
			hy, cy, ys := rnn.Forward(nil, nil, []*nn.Variable{short, long})
			var h, c *nn.Variable
			var last []*nn.Variable
			for part := range 2 {
				rows := []*nn.Variable{
					functions.GetItem(short, functions.Span(part, part+1)),
					functions.GetItem(long, functions.Span(2*part, 2*part+2)),
				}
				h, c, last = rnn.Forward(h, c, rows)
			}
			closeTo(t, "hy", h.Floats(), hy.Floats(), 1e-6, 1e-5)
			if cy != nil {
				closeTo(t, "cy", c.Floats(), cy.Floats(), 1e-6, 1e-5)
			}
			closeTo(t, "last rows", last[1].Floats(), ys[1].Floats()[2*4:], 1e-6, 1e-5)
			if err := functions.Sum(hy).Backward(); err != nil {
				t.Fatal(err)
			}
			for path, p := range links.Params(rnn) {
				if p.GradFloats() == nil {
					t.Errorf("%s has no gradient", path)
				}
			}
		})
	}
	if _, _, ys := links.NStepGRU(1, 3, 4).Forward(nil, nil, []*nn.Variable{nn.From(nil, wave(3), 3)}); ys[0].Err() == nil {
		t.Error("a sequence of one axis was accepted")
	}
}

// wave gives n different small numbers.
func wave(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32((i*7)%11)/11 - 0.5
	}
	return out
}
