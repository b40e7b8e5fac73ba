"""Jobs as pictures, trees and live cards."""
