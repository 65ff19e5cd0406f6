package rdd_test

import (
	"strings"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExamplePipe() {
	sc := rddtest.NewContext(2)
	words := rdd.Parallelize(sc, strings.Fields("fire flower spark work"))
	shown(rdd.Pipe(words, []string{"tr", "a-z", "A-Z"}))
	// Output: [FIRE FLOWER SPARK WORK]
}
