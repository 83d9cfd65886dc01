package app

import (
	"context"
	"errors"
	"os"

	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/gateway"
)

// beginFrom lets a gateway of this process begin from an image where the feed is long: to follow it from its first entry takes
// as long as everything that ever happened.
func (s *serving) beginFrom(ctx context.Context, o *gateway.Options) {
	o.Behind = true
	o.Load = func(add func(feed.Entry) error) (feed.Position, error) {
		file, err := s.plane.Load().Beginning(ctx, o.Environment)
		if err != nil {
			s.Log.Warn("there is no image to begin from: the gateway follows its feed from the first entry", "environment", o.Environment, "error", err)
			return feed.Position{}, nil
		}
		if file == "" {
			return feed.Position{}, nil
		}
		f, err := os.Open(file)
		if err != nil {
			return feed.Position{}, err
		}
		img, err := disk.ReadImage(f, o.Environment, o.Key, add)
		return img.Position, errors.Join(err, f.Close())
	}
}
