"""A few statistics, each by its best-known method, without a library.  Pure.

estimate    a number with its confidence interval and, where a question was asked, its p-value
share       how often something happened: Wilson's interval
paired      two shares of the same pairs: Tango's interval, McNemar's test
power       how many pairs show a difference, and which difference so many pairs show
shift       how far paired numbers are apart: Hodges and Lehmann, Wilcoxon
resampling  a quantile, and the bootstrap interval of any statistic
correction  several questions asked of one experiment: Holm

Every p-value is two-sided.  Intervals and p-values hold for one look at a finished sample: who
looks again and again and stops at the first one that pleases is wrong more often than they say.
"""

from router.statistics.correction import holm as holm
from router.statistics.estimate import CONFIDENCE as CONFIDENCE
from router.statistics.estimate import Estimate as Estimate
from router.statistics.paired import PairedTable as PairedTable
from router.statistics.paired import mcnemar as mcnemar
from router.statistics.paired import paired_difference as paired_difference
from router.statistics.power import detectable as detectable
from router.statistics.power import pairs_needed as pairs_needed
from router.statistics.resampling import bootstrap as bootstrap
from router.statistics.resampling import quantile as quantile
from router.statistics.shares import share as share
from router.statistics.shifts import MIN_VALUES as MIN_VALUES
from router.statistics.shifts import shift as shift
