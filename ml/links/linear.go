package links

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// LinearLink is made by Linear.
type LinearLink struct {
	Chain
	W, B *nn.Parameter // B is nil without a bias
	out  int
}

// Linear is a fully connected layer, y = x W^T + b, with W of shape (out, in)
// and b of shape (out). The input's size comes from its first input; an input
// of more than two axes is flattened behind the first.
//
// Options: InSize, InitW, InitBias, NoBias.
func Linear(out int, opts ...Option) *LinearLink {
	o := newOptions("Linear", opts, "InSize", "InitW", "InitBias", "NoBias")
	o.atLeast(1, "outputs", out)
	l := &LinearLink{out: out}
	l.bad = o.err
	l.W = l.addLazy("W", o.weight, out, o.in)
	if !o.noBias {
		l.B = AddParameter(l, "b", o.bias, out)
	}
	return l
}

// Forward takes x (batch, in) and gives (batch, out).
func (l *LinearLink) Forward(x *nn.Variable) *nn.Variable {
	if l.bad != nil {
		return l.failed(x, "Linear", l.bad)
	}
	if len(x.Shape()) > 2 {
		x = nn.Apply1(op.Reshape{Shape: []int{x.Dim(0), -1}}, x)
	}
	if err := initialize(l.W, x, 2, func(x []int) []int { return []int{l.out, x[1]} }); err != nil {
		return failed(x, "Linear", l.W, err)
	}
	return nn.Apply1(op.Linear{}, vars(x, l.W, l.B)...)
}

// EmbedIDLink is made by EmbedID.
type EmbedIDLink struct {
	Chain
	W  *nn.Parameter
	op op.Embed
}

// EmbedID looks up a row of W, shape (in, out), for each id of its input; in is
// the size of the vocabulary. The default start is a standard normal
// distribution.
//
// Options: InitW, IgnoreLabel.
func EmbedID(in, out int, opts ...Option) *EmbedIDLink {
	o := newOptions("EmbedID", append([]Option{InitW(nn.Normal(1))}, opts...), "InitW", "IgnoreLabel")
	o.atLeast(1, "size of the vocabulary", in)
	o.atLeast(1, "outputs", out)
	l := &EmbedIDLink{}
	l.bad = o.err
	if o.ignore != nil {
		l.op = op.Embed{HasIgnore: true, Ignore: *o.ignore}
	}
	l.W = AddParameter(l, "W", o.weight, in, out)
	return l
}

// Forward takes ids of any shape, int32 or whole numbers in float32, and gives that
// shape with one axis more.
func (l *EmbedIDLink) Forward(ids *nn.Variable) *nn.Variable {
	if l.bad != nil {
		return l.failed(ids, "EmbedID", l.bad)
	}
	return nn.Apply1(l.op, vars(ids, l.W)...)
}
