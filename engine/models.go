package engine

import "github.com/hibana-engine/hibana/rdd"

// modelNode is a named model whose version is pinned in each batch.
type modelNode struct {
	name    string
	site    rdd.Site
	current func() string // digest of the version to plan with, on the driver
}

// PinModel declares a named model: current returns, on the driver, the digest
// of the version that the next batch is to use. The version is part of the
// batch's allocation, so that a replayed batch uses the same. Package ml builds
// its models on it.
func PinModel(ssc *StreamingContext, name string, current func() string) {
	ssc.graph.models = append(ssc.graph.models, &modelNode{name, rdd.Caller(), current})
}

// Model returns the digest of the version of a model that the batch uses, ""
// if it uses none of that name.
func (b Batch) Model(name string) string {
	if b.alloc != nil {
		for _, m := range b.alloc.Models {
			if m.Name == name {
				return m.Digest
			}
		}
	}
	return ""
}
