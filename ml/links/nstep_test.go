package links_test

import (
	"strings"
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

// TestNStepArguments: messages are about what the caller gave.
func TestNStepArguments(t *testing.T) {
	x := func(shape ...int) *nn.Variable { return nn.From(nil, wave(24), shape...) }
	bad := functions.Linear(x(4, 6), x(8, 3), nil)
	forward := func(l *links.NStepLink, hx, cx *nn.Variable, xs ...*nn.Variable) error {
		net := &links.Chain{}
		links.Add(net, "rnn", l)
		hy, _, ys := l.Forward(hx, cx, xs)
		if len(ys) != len(xs) || hy.Err() != ys[0].Err() {
			t.Errorf("%d results of %d sequences, errors %v, %v", len(ys), len(xs), hy.Err(), ys[0].Err())
		}
		return hy.Err()
	}
	for name, c := range map[string]struct {
		err  error
		says []string
	}{
		"width":     {forward(links.NStepLSTM(2, 3, 4), nil, nil, x(8, 3), x(6, 4)), []string{"NStepLSTM (layer rnn)", "sequence 1 is (6, 4), want (length, 3)"}},
		"hx":        {forward(links.NStepBiLSTM(1, 3, 4), x(1, 6, 4), nil, x(8, 3)), []string{"NStepBiLSTM (layer rnn)", "hx is (1, 6, 4)", "(layers*directions, sequences, units), here (2, 1, 4)"}},
		"cx":        {forward(links.NStepLSTM(2, 3, 12), x(2, 1, 12), x(24), x(8, 3)), []string{"cx is (24)"}},
		"gru":       {forward(links.NStepGRU(1, 3, 4), x(4, 6), nil, x(8, 3)), []string{"NStepGRU (layer rnn)", "hx is (4, 6)"}},
		"no units":  {forward(links.NStepGRU(1, 3, 0), nil, nil, x(8, 3)), []string{"units 0, want at least 1"}},
		"option":    {forward(links.NStepGRU(1, 3, 2, links.NoBias()), nil, nil, x(8, 3)), []string{"no use for the option NoBias"}},
		"a failure": {forward(links.NStepGRU(1, 3, 2), nil, nil, x(8, 3), bad), []string{"Linear", "x has 6 columns"}},
	} {
		for _, text := range c.says {
			if c.err == nil || !strings.Contains(c.err.Error(), text) || !strings.HasPrefix(c.err.Error(), "links/nstep_test.go:") {
				t.Errorf("%s: %v does not say %q", name, c.err, text)
			}
		}
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
