package sandbox

import (
	"time"

	"golang.org/x/time/rate"
)

// bucket is the token bucket in front of the API. It decides at the arrival of a request.
type bucket struct {
	limiter *rate.Limiter // nil: unlimited
}

func newBucket(perSecond float64, burst int) *bucket {
	if perSecond <= 0 {
		return &bucket{}
	}
	return &bucket{limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// take takes a token. If there is none, it returns the time until there will be one.
func (b *bucket) take() (time.Duration, bool) {
	if b.limiter == nil {
		return 0, true
	}
	now := time.Now()
	if b.limiter.AllowN(now, 1) {
		return 0, true
	}
	missing := max(1-b.limiter.TokensAt(now), 0)
	return time.Duration(missing / float64(b.limiter.Limit()) * float64(time.Second)), false
}
