package kafka

import (
	"errors"
	"fmt"
	"strings"
)

// errNilOption: an option of Direct, Range or Sink is nil.
var errNilOption = errors.New("an option is nil")

// check reports what is wrong with the names of a stream's topics.
func (t Topics) check() error {
	if len(t.names) == 0 {
		return errors.New("it names no topic: use kafka.Subscribe(\"topic\")")
	}
	for _, name := range t.names {
		if err := checkTopic(name); err != nil {
			return err
		}
	}
	return nil
}

// checkTopic reports a name that no topic of Kafka can have.
func checkTopic(name string) error {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	switch {
	case name == "":
		return errors.New("it names no topic: the name is empty")
	case name == ".", name == "..", len(name) > 249, strings.ContainsFunc(name, func(r rune) bool { return !legal(r) }):
		return fmt.Errorf("no topic can be named %q: a name has at most 249 letters, digits, '.', '_' and '-'", name)
	}
	return nil
}
