package plan

// CostEstimate is what batches have cost of late: processing time as a fixed part
// and a part for each record. It rides in the allocation, so that a driver that
// takes over plans with what is known. The zero value knows nothing.
type CostEstimate struct {
	// A weighted fit: sums over batches of 1, records n, seconds t, n², n·t.
	Weight  float64 `msgpack:"w"`
	Records float64 `msgpack:"x"`
	Seconds float64 `msgpack:"y"`
	Squares float64 `msgpack:"xx"`
	Product float64 `msgpack:"xy"`

	Rate float64 `msgpack:"r"` // the rate estimate, records/s
	Err  float64 `msgpack:"e"` // its last error
}
