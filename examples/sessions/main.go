// Sessions groups the clicks of each visitor into sessions: a session ends when its visitor
// hasn't clicked for a while.
//
//	go run ./examples/sessions
package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/feed"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	topic    string
	idle     time.Duration
	clicks   int
	rate     float64
	visitors int
}

func main() {
	app := engine.NewApp("sessions")
	app.Example("sessions --idle 5s --clicks 0")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.topic, "topic", "clicks", "topic of the clicks, JSON")
	f.DurationVar(&opt.idle, "idle", 2*time.Second, "a session ends when its visitor hasn't clicked for so long")
	f.IntVar(&opt.clicks, "clicks", 2000, "clicks that are made up and written to the topic; 0 until stopped, below 0 none")
	f.Float64Var(&opt.rate, "rate", 400, "of these, clicks per second")
	f.IntVar(&opt.visitors, "visitors", 100, "of these, visitors")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error {
		made := feed.Feed{Topic: opt.topic, Partitions: 4, Rate: opt.rate, Count: opt.clicks, Flag: "clicks", Record: opt.click}
		if err := cmp.Or(opt.check(), made.Check(ssc)); err != nil {
			return err
		}
		clicks := kafka.Direct(ssc, kafka.Subscribe(opt.topic), kafka.JSONValue[Click])
		sessions(clicks, opt.idle).Print(10)
		made.Declare(ssc, 2*opt.idle)
		return nil
	})
}

// check reports what is wrong with the flags.
func (opt options) check() error {
	switch {
	case opt.idle <= 0:
		return fmt.Errorf("%w: --idle %s is not above 0", engine.ErrUsage, opt.idle)
	case opt.visitors < 1:
		return fmt.Errorf("%w: --visitors %d is below 1", engine.ErrUsage, opt.visitors)
	}
	return nil
}

// Click says that a visitor looked at a page.
type Click struct {
	Visitor string `json:"visitor"`
	Page    string `json:"page"`
}

// Session is what is known of a visitor who is there.
type Session struct {
	Clicks int
	First  string // page
	Last   string
}

// Summary is what is said of a session that has ended.
type Summary struct {
	Visitor string
	Session
}

// String returns the summary for people.
func (s Summary) String() string {
	return fmt.Sprintf("%s: %d clicks, from %s to %s", s.Visitor, s.Clicks, s.First, s.Last)
}

// sessions yields a summary of each session when it ends.
func sessions(clicks *engine.DStream[Click], idle time.Duration) *engine.DStream[Summary] {
	byVisitor := engine.Map(clicks, func(c Click) rdd.Pair[string, Click] { return rdd.KV(c.Visitor, c) })
	return engine.MapWithState(byVisitor, "sessions", follow, engine.Timeout(idle))
}

// follow adds a click to its visitor's session, or ends that.
func follow(visitor string, click *Click, s *engine.State[Session]) (Summary, bool) {
	session, is := s.Get()
	if click == nil {
		return Summary{visitor, session}, true
	}
	if !is {
		session.First = click.Page
	}
	session.Clicks++
	session.Last = click.Page
	s.Update(session)
	return Summary{}, false
}

// click makes up a click: visitors come in turns, and each clicks a few times.
func (opt options) click(i int) (key string, value any) {
	pages := []string{"/", "/news", "/search", "/basket", "/help"}
	random := rand.New(rand.NewPCG(1, uint64(i)))
	wave := i / (10 * opt.visitors) * opt.visitors
	c := Click{Visitor: fmt.Sprintf("visitor-%d", wave+random.IntN(opt.visitors)), Page: pages[random.IntN(len(pages))]}
	return c.Visitor, c
}
