// Join brings two topics together: it finds the order that each payment pays.
//
//	go run ./examples/join
package main

import (
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
	orders   string
	payments string
	within   time.Duration
	count    int
	rate     float64
	after    time.Duration
}

func main() {
	app := engine.NewApp("join")
	app.Example("join --within 30s --count 0")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.orders, "orders", "orders", "topic of the orders, JSON")
	f.StringVar(&opt.payments, "payments", "payments", "topic of the payments, JSON")
	f.DurationVar(&opt.within, "within", 5*time.Second, "an order is paid within so long, a multiple of the batch interval")
	f.IntVar(&opt.count, "count", 1000, "orders that are made up and written, and as many payments; 0 until stopped, below 0 none")
	f.Float64Var(&opt.rate, "rate", 200, "of these, orders per second")
	f.DurationVar(&opt.after, "after", time.Second, "of these, how long after the order the payment comes")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error {
		made := feed.Feed{Topic: opt.orders, Partitions: 4, Rate: opt.rate, Count: opt.count, Flag: "count", Record: order}
		if err := made.Check(ssc); err != nil {
			return err
		}
		if opt.after < 0 {
			return fmt.Errorf("%w: --after %s is below 0", engine.ErrUsage, opt.after)
		}
		orders := kafka.Direct(ssc, kafka.Subscribe(opt.orders), kafka.JSONValue[Order])
		payments := kafka.Direct(ssc, kafka.Subscribe(opt.payments), kafka.JSONValue[Payment])
		paid := match(orders, payments, opt.within)
		paid.Filter(func(p Paid) bool { return p.Missing() }).Print(5)
		engine.Count(paid).Print(1)
		made.Declare(ssc, opt.after+3*time.Second)
		made.Topic, made.Partitions, made.Record, made.After = opt.payments, 2, payment, opt.after
		made.Declare(ssc, 2*time.Second)
		return nil
	})
}

// Order says what somebody wants.
type Order struct {
	ID    string `json:"id"`
	Price int    `json:"price"`
}

// Payment pays an order.
type Payment struct {
	Order  string `json:"order"`
	Amount int    `json:"amount"`
}

// Paid is a payment with its order.
type Paid struct {
	Payment
	Of rdd.Option[Order]
}

// Missing reports whether nothing is known of the order, or another amount was paid.
func (p Paid) Missing() bool { return !p.Of.Valid || p.Of.Value.Price != p.Amount }

// String returns the payment for people.
func (p Paid) String() string {
	if !p.Of.Valid {
		return fmt.Sprintf("%d paid for %s, which nobody ordered of late", p.Amount, p.Order)
	}
	return fmt.Sprintf("%d paid for %s, which costs %d", p.Amount, p.Order, p.Of.Value.Price)
}

// match yields each payment, in the batch in which it comes, with the order that came within
// a while before it.
func match(orders *engine.DStream[Order], payments *engine.DStream[Payment], within time.Duration) *engine.DStream[Paid] {
	byID := engine.KeyBy(orders.Window(within, orders.Context().BatchInterval()), func(o Order) string { return o.ID })
	byOrder := engine.KeyBy(payments, func(p Payment) string { return p.Order })
	return engine.Map(engine.Values(engine.LeftOuterJoin(byOrder, byID)), func(j rdd.Joined[Payment, rdd.Option[Order]]) Paid {
		return Paid{j.Left, j.Right}
	})
}

// order makes up an order.
func order(i int) (key string, value any) {
	o := Order{ID: fmt.Sprint("order-", i), Price: 10 + rand.New(rand.NewPCG(3, uint64(i))).IntN(90)}
	return o.ID, o
}

// payment makes up the payment of an order; some have a slip in the number.
func payment(i int) (key string, value any) {
	_, made := order(i)
	o := made.(Order)
	p := Payment{o.ID, o.Price}
	if i%50 == 49 {
		p.Order += "0000"
	}
	return p.Order, p
}
