package kafka

import (
	"math"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// limits bound what a batch takes of one partition.
type limits struct {
	maxRate float64 // records per second and partition, 0 without limit
	minimum int64   // records per batch and partition
}

// most returns how many records each range may hold whatever the batch's budget: what apply leaves
// of it without one, with the same credit.
func (l limits) most(rs []ranges.Range, seconds float64, credit map[topicPartition]float64) []int64 {
	most := make([]int64, len(rs))
	for i, r := range rs {
		most[i], _ = part(r, l.rate(seconds), credit[topicPartition{r.Topic, r.Partition}])
	}
	return most
}

// apply shortens ranges to a batch's budget in records, shared by lag (Spark's
// DirectKafkaInputDStream.maxMessagesPerPartition), and to each partition's limits
// over the seconds since the batch before. The highest rate wins over the minimum.
// Without a budget only the limit of a partition counts; without lag there is
// nothing to limit. Fractions of records add up in credit.
func (l limits) apply(rs []ranges.Range, budget, seconds float64, credit map[topicPartition]float64) {
	var lag int64
	for _, r := range rs {
		lag += r.Len()
	}
	if lag == 0 || (budget <= 0 && l.maxRate <= 0) {
		return
	}
	for i, r := range rs {
		share := l.rate(seconds)
		if budget > 0 {
			share = min(share, max(budget*float64(r.Len())/float64(lag), float64(l.minimum)))
		}
		key := topicPartition{r.Topic, r.Partition}
		n, rest := part(r, share, credit[key])
		credit[key] = rest
		if n < r.Len() { // else it stays as it is, also if it runs backwards (planner.next)
			rs[i].Until = r.From + n
		}
	}
}

// rate returns how many records of a partition the limit lets in, fractions too.
func (l limits) rate(seconds float64) float64 {
	if l.maxRate <= 0 {
		return math.Inf(1)
	}
	return l.maxRate * seconds
}

// roundingSlack is what sums of fractions may lack of a whole record.
const roundingSlack = 1e-6

// part returns how many whole records of a range its share is, with what is left of earlier ones,
// and the fraction of one that is left now.
func part(r ranges.Range, share, credit float64) (n int64, rest float64) {
	if share >= float64(r.Len()) {
		return r.Len(), credit
	}
	records, fraction := math.Modf(share + credit + roundingSlack)
	return min(int64(records), r.Len()), max(0, fraction-roundingSlack)
}
