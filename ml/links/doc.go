// Package links holds the layers that networks are made of: functions with
// parameters, and the chains that put them together.
//
// A ready network is a list of layers and functions:
//
//	net := links.Sequential(
//		links.Linear(1000), functions.ReLU,
//		links.Linear(10))
//
// A network of one's own is a struct that embeds [Chain], names its layers
// with [Add] and computes what it likes:
//
//	type Net struct {
//		links.Chain
//		conv *links.Convolution2DLink
//		out  *links.LinearLink
//	}
//
//	func NewNet() *Net {
//		n := &Net{}
//		n.conv = links.Add(n, "conv", links.Convolution2D(16, 3))
//		n.out = links.Add(n, "out", links.Linear(10))
//		return n
//	}
//
//	func (n *Net) Forward(x *nn.Variable) *nn.Variable {
//		return n.out.Forward(functions.ReLU(n.conv.Forward(x)))
//	}
//
// Parameters are named by path, "conv/W", with the names that Chainer gives
// them, so serializers.LoadNPZ reads what Chainer saved.
//
// Sizes of inputs need not be given: a layer takes them from its first input,
// or from the file that it is loaded from. What a parameter starts with depends
// on its path, its shape and the seed ([Seed]) alone, so a network starts the
// same in every process.
package links
