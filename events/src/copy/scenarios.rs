//! What a trader can proof-read: a change at the master, the surroundings, the settings, and what the slave is told.
//!
//! Unless a row says otherwise: the link is live and connected, the signal is 100 ms old; both accounts are hedging, in USD, with
//! 10000 of balance, equity and free margin. A lot of EURUSD is 100000 (step and smallest 0.01, largest 50, a tick of 0.00001 is
//! worth 1), the same for GBPUSD.m; of GOLD.m 100 ounces (step and smallest 0.1, largest 5, a tick of 0.01 is worth 1); of US30
//! one contract (step and smallest 1, largest 3, a tick of 1 is worth 1). The master's EURUSD is the same, its other symbols are
//! not known. A copy that is held was opened at 1.1 with stop-loss 1.09 and take-profit 1.12, as the master's was.

use super::ask::*;
use super::book::{Copy, Leg, LegState};
use super::settings::{Layer, Overrides, WindDown, resolve, validate};
use super::stop::StopDegree;
use super::{Plan, Rule, plan};
use crate::money::{Factor, Lots, Money, Number, Price};
use crate::reason::RuntimeStatus;
use crate::time::Timestamp;
use crate::trade::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use uuid::Uuid;

const OPENS: &str = r#"
# volume
buy 0.33 EURUSD                     |                      | {}                                                       | copied copied                     | buy market 0.33 EURUSD @1.1
sell 0.33 EURUSD sl 1.11 tp 1.08    |                      | {}                                                       | copied copied                     | sell market 0.33 EURUSD @1.1 sl 1.11 tp 1.08
buy 0.33 EURUSD                     |                      | {"volume":{"multiplier":"0.5"}}                          | copied copied                     | buy market 0.16 EURUSD @1.1
buy 0.33 EURUSD                     |                      | {"volume":{"multiplier":3}}                              | copied copied                     | buy market 0.99 EURUSD @1.1
buy 7 EURUSD                        |                      | {"volume":{"fixed":"0.1"}}                               | copied copied                     | buy market 0.1 EURUSD @1.1
buy 0.33 EURUSD                     | equity 5000/10000    | {"volume":{"ratio_equity":"1"}}                          | copied copied                     | buy market 0.16 EURUSD @1.1
buy 0.33 EURUSD                     | equity 5000/10000    | {"volume":{"margin_ratio":"2"}}                          | copied copied                     | buy market 0.33 EURUSD @1.1
buy 1 EURUSD                        | equity 10000/30000   | {"volume":{"ratio_equity":"3"}}                          | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | balance 2500/10000   | {"volume":{"ratio_balance":"1"}}                         | copied copied                     | buy market 0.25 EURUSD @1.1
buy 1 EURUSD                        | margin 1250/10000    | {"volume":{"ratio_free_margin":"1"}}                     | copied copied                     | buy market 0.12 EURUSD @1.1
buy 1 EURUSD                        | margin -50/10000     | {"volume":{"ratio_free_margin":"1"}}                     | skipped figures_not_positive      |
buy 1 EURUSD                        | equity 10000/0       | {"volume":{"ratio_equity":"1"}}                          | skipped figures_not_positive      |
buy 1 EURUSD                        | no funds             | {"volume":{"ratio_equity":"1"}}                          | skipped figures_unknown           |
buy 1 EURUSD                        | no funds             | {}                                                       | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | funds 60000 ms old   | {"volume":{"ratio_equity":"1"}}                          | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | funds 60001 ms old   | {"volume":{"ratio_equity":"1"}}                          | skipped figures_old               |
buy 1 EURUSD                        | funds 90000 ms old   | {"volume":{"ratio_equity":"1"},"figures_age_max_ms":0}   | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | currency EUR/USD     | {"volume":{"ratio_equity":"1"}}                          | skipped currency_differs          |
buy 1 EURUSD                        | currency EUR/USD     | {"volume":{"ratio_equity":"1"},"currency_rate":"0.8"}    | copied copied                     | buy market 1.25 EURUSD @1.1
buy 1 EURUSD                        | master lot 10000     | {"volume":{"multiplier_notional":"1"}}                   | copied copied                     | buy market 0.1 EURUSD @1.1
buy 1 EURUSD                        | master lot unknown   | {"volume":{"multiplier_notional":"1"}}                   | skipped master_contract_unknown   |
# 1 % of 10000 is 100; 100 points of 1 each are 100 a lot
buy 5 EURUSD sl 1.099               |                      | {"volume":{"risk_percent":"1"}}                          | copied copied                     | buy market 1 EURUSD @1.1 sl 1.099
sell 5 EURUSD sl 1.103              |                      | {"volume":{"risk_percent":"1"}}                          | copied copied                     | sell market 0.33 EURUSD @1.1 sl 1.103
buy 5 EURUSD                        |                      | {"volume":{"risk_percent":"1"}}                          | skipped risk_needs_sl             |
buy 5 EURUSD sl 1.101               |                      | {"volume":{"risk_percent":"1"}}                          | skipped risk_needs_sl             |
buy 5 EURUSD sl 1.099               |                      | {"volume":{"risk_percent":"1"},"copy_sl":"off"}          | skipped risk_needs_sl             |
# reversed, the master's take-profit is the slave's stop-loss: 200 points
buy 5 EURUSD sl 1.099 tp 1.102      |                      | {"volume":{"risk_percent":"1"},"reverse":true}           | copied copied                     | sell market 0.5 EURUSD @1.1 sl 1.102 tp 1.099
# a lot is worth 110000; 22 times 10000 are two of them
buy 5 EURUSD                        |                      | {"volume":{"leverage":"22"}}                             | copied copied                     | buy market 2 EURUSD @1.1
# step, smallest, largest
buy 0.02 EURUSD                     |                      | {"volume":{"multiplier":"0.4"}}                          | skipped lot_below_min             |
buy 0.02 EURUSD                     |                      | {"volume":{"multiplier":"0.4"},"below_min":"force"}      | resized below_min_forced          | buy market 0.01 EURUSD @1.1
buy 70 EURUSD                       |                      | {}                                                       | resized above_max_clamped         | buy market 50 EURUSD @1.1
buy 120 EURUSD                      |                      | {"above_max":"split"}                                    | copied copied                     | 2 × buy market 50 EURUSD @1.1 + buy market 20 EURUSD @1.1
buy 10.04 GOLD.m                    |                      | {"above_max":"split"}                                    | copied copied                     | 2 × buy market 5 GOLD.m @1.1
buy 7 US30                          |                      | {"above_max":"split"}                                    | copied copied                     | 2 × buy market 3 US30 @1 + buy market 1 US30 @1
buy 1000 US30                       |                      | {"above_max":"split"}                                    | resized split_capped              | 20 × buy market 3 US30 @1
buy 0 EURUSD                        |                      | {"below_min":"force"}                                    | skipped volume_zero               |
buy 999999999999999999 EURUSD       |                      | {"volume":{"multiplier":100000}}                         | skipped number_overflow           |
buy 1 EURUSD                        | step 0               | {}                                                       | skipped contract_invalid          |
buy 1000 US30                       |                      | {"above_max":"split","positions_max":19}                 | blocked positions_max             |
# status
buy 1 EURUSD                        | status 1             | {}                                                       | blocked master_not_connected      |
buy 1 EURUSD                        | status 0             | {}                                                       | blocked slave_not_ready           |
buy 1 EURUSD                        | disabled             | {}                                                       | blocked link_disabled             |
buy 1 EURUSD                        |                      | {"mode":"off"}                                           | blocked link_off                  |
buy 1 EURUSD                        |                      | {"mode":"observe"}                                       | observed observed                 |
buy 0.001 EURUSD                    |                      | {"mode":"observe"}                                       | skipped lot_below_min             |
buy 1 EURUSD                        | winding by_position  | {}                                                       | blocked link_winding_down         |
# age
buy 1 EURUSD                        | age 5000             | {}                                                       | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | age 5001             | {}                                                       | skipped signal_late               |
buy 1 EURUSD                        | age 5001             | {"signal_age_max_ms":0}                                  | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | age -9000            | {}                                                       | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | age 5001             | {"late_opens":{"pending":{"expires_ms":60000}}}          | copied copied                     | buy limit 1 EURUSD @1.1 for 60000
buy 1 EURUSD                        | age 5001; quote 1.09/1.1 | {"late_opens":{"pending":{"expires_ms":60000}}}      | copied copied                     | buy market 1 EURUSD @1.1
sell 1 EURUSD                       | age 5001; quote 1.09/1.1 | {"late_opens":{"pending":{"expires_ms":0}}}          | copied copied                     | sell limit 1 EURUSD @1.1
# filters
sell 1 EURUSD                       |                      | {"sides":"buy"}                                          | skipped side_filtered             |
sell 1 EURUSD                       |                      | {"sides":"sell"}                                         | copied copied                     | sell market 1 EURUSD @1.1
buy 1 EURUSD                        |                      | {"symbols_allow":[],"symbols_deny":[],"magics_allow":[],"comment_contains":[]} | copied copied | buy market 1 EURUSD @1.1
buy 1 EURUSD                        |                      | {"symbols_allow":["GBPUSD"]}                             | skipped symbol_filtered           |
buy 1 EURUSD.pro                    | master suffix .pro   | {"symbols_allow":["EURUSD"]}                             | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        |                      | {"symbols_deny":["EURUSD"]}                              | skipped symbol_filtered           |
buy 1 EURUSD magic 7                |                      | {"magics_allow":[7,8]}                                   | copied copied                     | buy market 1 EURUSD @1.1 magic 7
buy 1 EURUSD magic 9                |                      | {"magics_allow":[7,8]}                                   | skipped magic_filtered            |
buy 1 EURUSD magic 7                |                      | {"magics_deny":[7]}                                      | skipped magic_filtered            |
buy 1 EURUSD comment Scalper-3      |                      | {"comment_contains":["scalper"]}                         | copied copied                     | buy market 1 EURUSD @1.1 comment Scalper-3
buy 1 EURUSD comment grid           |                      | {"comment_contains":["scalper"]}                         | skipped comment_filtered          |
buy 1 EURUSD comment grid           |                      | {"comment_excludes":["grid"]}                            | skipped comment_filtered          |
buy 0.05 EURUSD                     |                      | {"source_lots_min":"0.1"}                                | skipped source_lots_low           |
buy 5 EURUSD                        |                      | {"source_lots_max":"1"}                                  | skipped source_lots_high          |
# symbols
buy 1 GBPUSD                        | slave suffix .m      | {}                                                       | copied copied                     | buy market 1 GBPUSD.m @1.1
buy 1 GBPUSD                        |                      | {}                                                       | skipped symbol_unmapped           |
buy 1 GBPUSD                        |                      | {"slave_affixes":{"fixed":{"prefix":"","suffix":".m"}}}  | copied copied                     | buy market 1 GBPUSD.m @1.1
buy 1 #EURUSD                       | master prefix #      | {}                                                       | copied copied                     | buy market 1 EURUSD @1.1
buy 1 DJ30                          |                      | {"symbol_map":[{"from":"DJ30","to":"US30"}]}             | copied copied                     | buy market 1 US30 @1
buy 1 DJ30.x                        | master suffix .x     | {"symbol_map":[{"from":"DJ30","to":"US30"}]}             | copied copied                     | buy market 1 US30 @1
buy 1 XAUUSD                        | slave suffix .m      | {"symbol_map":[{"from":"XAUUSD","to":"GOLD"}]}           | copied copied                     | buy market 1 GOLD.m @1.1
buy 1 EURUSD                        |                      | {"symbol_map":[{"from":"EURUSD","to":"EURO"}]}           | skipped symbol_unmapped           |
buy 1 XAUUSD.x                      | master suffix .x; slave suffix .m | {"synonyms":[["GOLD","XAUUSD"]]}            | copied copied                     | buy market 1 GOLD.m @1.1
buy 1 WS30                          |                      | {"synonyms":[["GOLD","XAUUSD"],["WS30","DJ30","US30"]]}  | copied copied                     | buy market 1 US30 @1
buy 1 EURUSD                        | no symbols           | {}                                                       | skipped symbols_unknown           |
# reversed
buy 1 EURUSD sl 1.09 tp 1.12        |                      | {"reverse":true}                                         | copied copied                     | sell market 1 EURUSD @1.1 sl 1.12 tp 1.09
buy limit 1 EURUSD sl 1.09 tp 1.12  |                      | {"reverse":true}                                         | copied copied                     | sell stop 1 EURUSD @1.1 sl 1.12 tp 1.09
sell limit 1 EURUSD                 |                      | {"reverse":true}                                         | copied copied                     | buy stop 1 EURUSD @1.1
buy stop 1 EURUSD                   |                      | {"reverse":true}                                         | copied copied                     | sell limit 1 EURUSD @1.1
sell stop 1 EURUSD                  |                      | {"reverse":true}                                         | copied copied                     | buy limit 1 EURUSD @1.1
# pending
buy limit 1 EURUSD                  |                      | {}                                                       | copied copied                     | buy limit 1 EURUSD @1.1
sell stop 1 EURUSD                  |                      | {"copy_pending":false}                                   | skipped pending_off               |
# levels
buy 1 EURUSD sl 1.09 tp 1.12        | quote 1.1002/1.1004  | {"copy_sl":"distance","copy_tp":"distance"}              | copied copied                     | buy market 1 EURUSD @1.1 sl 1.0904 tp 1.1204
sell 1 EURUSD sl 1.11 tp 1.08       | quote 1.1002/1.1004  | {"copy_sl":"distance"}                                   | copied copied                     | sell market 1 EURUSD @1.1 sl 1.1102 tp 1.08
buy 1 EURUSD sl 1.09 tp 1.12        | quote 1.1002/1.1004  | {"reverse":true,"copy_sl":"distance","copy_tp":"distance"} | copied copied                   | sell market 1 EURUSD @1.1 sl 1.1202 tp 1.0902
buy 1 EURUSD sl 1.09 tp 1.12        |                      | {"copy_sl":"distance"}                                   | copied copied                     | buy market 1 EURUSD @1.1 sl 1.09 tp 1.12
buy 1 EURUSD sl 1.09 tp 1.12        |                      | {"copy_sl":"off","copy_tp":"off"}                        | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD sl 1.0912345           |                      | {}                                                       | copied copied                     | buy market 1 EURUSD @1.1 sl 1.09123
buy 1 EURUSD                        |                      | {"slippage_max":"0.0003"}                                | copied copied                     | buy market 1 EURUSD @1.1 within 0.0003
# limits
buy 1 EURUSD                        | held 4 lots, 4 positions, 4 here | {"lots_total_max":"5"}                       | copied copied                     | buy market 1 EURUSD @1.1
buy 1.01 EURUSD                     | held 4 lots, 4 positions, 4 here | {"lots_total_max":"5"}                       | blocked lots_total_max            |
buy 1 EURUSD                        | held 4 lots, 4 positions, 4 here | {"positions_max":4}                          | blocked positions_max             |
buy 1 EURUSD                        | held 4 lots, 4 positions, 2 here | {"positions_per_symbol_max":2}               | blocked positions_per_symbol_max  |
buy 1 EURUSD                        | held 4 lots, 4 positions, 2 here; netting | {"positions_max":4}                 | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | stop pause           | {}                                                       | blocked stopped                   |
buy 1 EURUSD                        | protected            | {}                                                       | blocked protected                 |
# open before
buy 1 EURUSD                        | sync                 | {}                                                       | skipped sync_off                  |
buy 1 EURUSD                        | snapshot; age 99999  | {"sync_mode":{"market_order":{"distance_max":"0"}}}      | copied copied                     | buy market 1 EURUSD @1.1
buy 1 EURUSD                        | sync                 | {"sync_mode":{"market_order":{"distance_max":"0.002"}}}  | copied copied                     | buy market 1 EURUSD @1.1 within 0.002
buy 1 EURUSD                        | sync; quote 1.1/1.1021 | {"sync_mode":{"market_order":{"distance_max":"0.002"}}} | skipped sync_too_far             |
buy 1 EURUSD                        | sync; quote 1.101/1.102 | {"sync_mode":{"limit_order":{"expires_ms":5}}}        | copied copied                     | buy limit 1 EURUSD @1.1 for 5
buy 1 EURUSD                        | sync; quote 1.09/1.095 | {"sync_mode":{"limit_order":{"expires_ms":5}}}         | copied copied                     | buy market 1 EURUSD @1.1
buy stop 1 EURUSD                   | sync                 | {"sync_mode":{"limit_order":{"expires_ms":5}}}           | copied copied                     | buy stop 1 EURUSD @1.1
"#;

const COPIES: &str = r#"
# partial and full closes: the slave has 0.5 for the master's 1
close                               | copy 0.5/1           | {}                                                       | copied copied                     | close
close 50%                           | copy 0.5/1           | {}                                                       | copied copied                     | close 0.25
close to 0.5                        | copy 0.5/1           | {}                                                       | copied copied                     | close 0.25
close 33.3333%                      | copy 0.5/1           | {}                                                       | copied copied                     | close 0.16
close to 0.99                       | copy 0.5/1           | {}                                                       | skipped close_waits               |
close to 0.01                       | copy 0.5/1           | {}                                                       | copied copied                     | close 0.49
close to 0                          | copy 0.5/1           | {}                                                       | copied copied                     | close
close 100%                          | copy 0.5/1           | {}                                                       | copied copied                     | close
close to 1                          | copy 0.5/1           | {}                                                       | copied unchanged                  |
close                               | no copy              | {}                                                       | skipped not_copied                |
close 50%                           | sent copy 0.5/1      | {}                                                       | skipped waits_for_fill            |
close                               | sent copy 0.5/1      | {}                                                       | copied copied                     | close
close                               | ended copy 0.5/1     | {}                                                       | skipped copy_over                 |
# a close never expires, and passes whatever the link is and whatever the filters say now
close                               | copy 0.5/1; age 9999999 | {}                                                    | copied copied                     | close
close                               | copy 0.5/1; status 0 | {}                                                       | copied copied                     | close
close                               | copy 0.5/1; disabled | {"mode":"off"}                                           | copied copied                     | close
close                               | copy 0.5/1           | {"mode":"observe"}                                       | copied copied                     | close
close                               | copy 0.5/1           | {"symbols_deny":["EURUSD"],"sides":"sell"}               | copied copied                     | close
close                               | copy 0.5/1; stop flatten | {}                                                   | copied copied                     | close
close                               | copy 0.5/1; no symbols | {}                                                     | copied copied                     | close
close                               | copy 0.5/1; status 1 | {"closes_when_off":false}                                | blocked closes_off                |
sl 1.095 tp 1.12                    | copy 0.5/1; status 1 | {"closes_when_off":false}                                | blocked closes_off                |
close                               | copy 0.5/1           | {"closes_when_off":false}                                | copied copied                     | close
# levels
sl 1.095 tp 1.12                    | copy 0.5/1           | {}                                                       | copied copied                     | modify sl 1.095 tp 1.12
sl 1.09 tp 1.15                     | copy 0.5/1; status 0 | {}                                                       | copied copied                     | modify sl 1.09 tp 1.15
sl - tp -                           | copy 0.5/1           | {}                                                       | copied copied                     | modify
sl 1.09 tp 1.12                     | copy 0.5/1           | {}                                                       | copied unchanged                  |
sl 1.095 tp 1.13                    | copy 0.5/1           | {"copy_sl":"off"}                                        | copied copied                     | modify sl 1.09 tp 1.13
sl 1.095 tp 1.12                    | copy 0.5/1           | {"copy_sl":"off"}                                        | copied unchanged                  |
sl 1.095 tp 1.12                    | copy 0.5/1 filled 1.1004 | {"copy_sl":"distance"}                               | copied copied                     | modify sl 1.0954 tp 1.12
sl 1.095 tp 1.12                    | reversed copy 0.5/1  | {}                                                       | copied copied                     | modify sl 1.12 tp 1.095
# netting: grown and shrunk
lots 2                              | copy 0.5/1           | {"volume":{"multiplier":"0.5"}}                          | copied copied                     | buy market 0.5 EURUSD @1.1 sl 1.09 tp 1.12
lots 2 sl 1.095                     | copy 0.5/1; quote 1.2/1.21 | {"volume":{"multiplier":"0.5"}}                    | copied copied                     | buy market 0.5 EURUSD @1.21 sl 1.095 + modify sl 1.095
lots 2                              | copy 0.5/1; status 1 | {"volume":{"multiplier":"0.5"}}                          | blocked master_not_connected      |
lots 2 sl 1.095                     | copy 0.5/1; status 1 | {}                                                       | resized master_not_connected      | modify sl 1.095
lots 2                              | copy 0.5/1; age 6000 | {}                                                       | skipped signal_late               |
lots 2 sl 1.095                     | copy 0.5/1           | {"mode":"observe"}                                       | observed observed                 | modify sl 1.095
lots 2                              | copy 0.5/1           | {"symbols_deny":["EURUSD"]}                              | copied copied                     | buy market 1 EURUSD @1.1 sl 1.09 tp 1.12
lots 0.5                            | copy 0.5/1           | {}                                                       | copied copied                     | close 0.25
# what a growth is too small for is kept for the next one
lots 1.01                           | copy 0.5/1           | {"volume":{"multiplier":"0.5"}}                          | skipped growth_kept               |
lots 1.01 sl 1.095                  | copy 0.5/1           | {"volume":{"multiplier":"0.5"}}                          | resized growth_kept               | modify sl 1.095
lots 1.01                           | copy 0.5/1           | {"volume":{"multiplier":"0.5"},"below_min":"force"}      | skipped growth_kept               |
lots 1.01                           | copy 0.5/1; kept 0.005 | {"volume":{"multiplier":"0.5"}}                        | copied copied                     | buy market 0.01 EURUSD @1.1 sl 1.09 tp 1.12
lots 1.05                           | copy 0.5/1; kept 0.007 | {"volume":{"multiplier":"0.5"}}                        | copied copied                     | buy market 0.03 EURUSD @1.1 sl 1.09 tp 1.12
lots 1.05                           | copy 0.5/1; kept -0.006 | {"volume":{"multiplier":"0.5"}}                       | copied copied                     | buy market 0.01 EURUSD @1.1 sl 1.09 tp 1.12
lots 1.01                           | copy 0.5/1; kept -0.02 | {}                                                     | skipped growth_kept               |
lots 1.15                           | copy 0.5/1; smallest 0.1 | {}                                                   | copied copied                     | buy market 0.15 EURUSD @1.1 sl 1.09 tp 1.12
lots 1.05                           | copy 0.5/1; smallest 0.1 | {}                                                   | skipped growth_kept               |
lots 1.05                           | copy 0.5/1; smallest 0.1 | {"below_min":"force"}                                | resized below_min_forced          | buy market 0.1 EURUSD @1.1 sl 1.09 tp 1.12
lots 80                             | copy 0.5/1           | {}                                                       | resized above_max_clamped         | buy market 50 EURUSD @1.1 sl 1.09 tp 1.12
# a position that was too small to be opened
lots 0.02                           | unbegun copy 0/0.01; kept 0.005 | {"volume":{"multiplier":"0.5"}}               | copied copied                     | buy market 0.01 EURUSD @1.1 sl 1.09 tp 1.12
lots 0.01 sl 1.095                  | unbegun copy 0/0.01; kept 0.005 | {"volume":{"multiplier":"0.5"}}               | skipped not_copied                |
close                               | unbegun copy 0/0.01; kept 0.005 | {"volume":{"multiplier":"0.5"}}               | skipped not_copied                |
# pending copies
buy 1 EURUSD sl 1.09 tp 1.12        | pending copy 0.5/1   | {}                                                       | copied pending_filled             |
buy 1 EURUSD sl 1.08 tp 1.12        | pending copy 0.5/1   | {}                                                       | copied copied                     | modify sl 1.08 tp 1.12
buy 0.5 EURUSD sl 1.09 tp 1.12      | pending copy 0.5/1   | {}                                                       | copied pending_filled             |
buy 1 EURUSD sl 1.09 tp 1.12        | copy 0.5/1           | {}                                                       | copied unchanged                  |
price 1.08 sl 1.09 tp 1.12          | pending copy 0.5/1   | {}                                                       | copied copied                     | modify @1.08 sl 1.09 tp 1.12
close                               | pending copy 0.5/1   | {}                                                       | copied copied                     | close
close 50%                           | pending copy 0.5/1   | {}                                                       | skipped pending_indivisible       |
buy 1 EURUSD sl 1.09 tp 1.12        | ended copy 0.5/1     | {}                                                       | skipped copy_over                 |
# a link that was removed
close                               | copy 0.5/1; winding keep | {}                                                   | skipped wound_down                |
close                               | copy 0.5/1; winding by_position; status 0 | {"closes_when_off":false}           | copied copied                     | close
close                               | copy 0.5/1; winding by_symbol; others 1 | {}                                    | skipped waits_for_symbol          |
sl 1.095 tp 1.12                    | copy 0.5/1; winding by_symbol; others 1 | {}                                    | copied copied                     | modify sl 1.095 tp 1.12
close                               | copy 0.5/1; winding by_symbol | {}                                              | copied copied                     | close
lots 2                              | copy 0.5/1; winding by_position | {}                                            | blocked link_winding_down         |
"#;

#[test]
fn a_trader_finds_no_fault_with_opens() {
    assert!(proof_read(OPENS) >= 90);
}

#[test]
fn a_trader_finds_no_fault_with_what_follows() {
    assert!(proof_read(COPIES) >= 45);
}

/// The number of rows that were right; says all the others.
fn proof_read(table: &str) -> usize {
    let (mut right, mut wrong) = (0, String::new());
    for row in table.lines().filter(|row| !row.trim().is_empty() && !row.starts_with('#')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [change, facts, settings, verdict, orders] = cells[..] else { panic!("five cells: {row}") };
        let plan = Scene::new(change, facts, settings).plan();
        let said = format!("{} {}", plan.verdict.as_str(), plan.rule);
        let told = counted(plan.instructions.iter().map(words).collect());
        if said == verdict && told == orders {
            right += 1;
        } else {
            let steps = plan.explain().steps.join("\n    ");
            write!(
                wrong,
                "{change} | {facts} | {settings}\n  {said} | {told}\n  not {verdict} | {orders}\n    {steps}\n"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    right
}

/// Equal neighbours once, with their number.
fn counted(texts: Vec<String>) -> String {
    let runs = texts.chunk_by(|one, next| one == next);
    let run = |run: &[String]| if run.len() == 1 { run[0].clone() } else { format!("{} × {}", run.len(), run[0]) };
    runs.map(run).collect::<Vec<_>>().join(" + ")
}

#[test]
fn every_rule_is_shown_by_a_row() {
    for rule in Rule::ALL {
        let shown = format!("| {} {rule} ", rule.verdict().as_str());
        assert!(OPENS.contains(&shown) || COPIES.contains(&shown), "no row shows {rule}");
    }
}

/// A row, made into facts.
pub struct Scene {
    change: Change,
    copy: Option<Copy>,
    before: Option<Trade>,
    overrides: Overrides,
    origin: Origin,
    age_ms: i64,
    link: LinkFacts,
    master_funds: Option<Funds>,
    slave_funds: Option<Funds>,
    master_currency: String,
    slave_currency: String,
    master_affixes: Affixes,
    slave_affixes: Affixes,
    master_contract: Option<Contract>,
    master_holding: Holding,
    others: u32,
    symbols: BTreeMap<Symbol, Contract>,
    quotes: BTreeMap<Symbol, Quote>,
    holding: Holding,
    exposure: Exposure,
    block: Option<Block>,
}

pub const NOW: Timestamp = Timestamp(1_769_850_900_000_000);

impl Scene {
    pub fn new(change: &str, facts: &str, settings: &str) -> Scene {
        let overrides: Overrides = serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
        validate(&overrides).unwrap();
        let funds = Funds { balance: number("10000"), equity: number("10000"), free_margin: number("10000"), at: NOW };
        let mut scene = Scene {
            change: read_change(change),
            copy: None,
            before: None,
            overrides,
            origin: Origin::Signal,
            age_ms: 100,
            link: LinkFacts { enabled: true, status: RuntimeStatus::Connected, winding: None },
            master_funds: Some(funds),
            slave_funds: Some(funds),
            master_currency: "USD".into(),
            slave_currency: "USD".into(),
            master_affixes: Affixes::default(),
            slave_affixes: Affixes::default(),
            master_contract: Some(contract("0.01", "50", "100000", 5, "0.00001")),
            master_holding: Holding::Hedging,
            others: 0,
            symbols: table(),
            quotes: BTreeMap::new(),
            holding: Holding::Hedging,
            exposure: Exposure::default(),
            block: None,
        };
        for fact in facts.split(';').map(str::trim).filter(|fact| !fact.is_empty()) {
            scene.note(fact);
        }
        scene
    }

    pub fn plan(&self) -> Plan {
        let settings = resolve(&[(Layer::Link, &self.overrides)]);
        plan(&Ask {
            change: &self.change,
            origin: self.origin,
            signal_at: Timestamp(NOW.0 - self.age_ms * 1000),
            now: NOW,
            before: self.before.as_ref(),
            copy: self.copy.as_ref(),
            link: self.link,
            settings: &settings,
            master: MasterFacts {
                funds: self.master_funds,
                currency: &self.master_currency,
                affixes: &self.master_affixes,
                holding: self.master_holding,
                contract: self.master_contract.as_ref(),
                others_in_symbol: self.others,
            },
            slave: SlaveFacts {
                funds: self.slave_funds,
                currency: &self.slave_currency,
                affixes: &self.slave_affixes,
                symbols: &self.symbols,
                quotes: &self.quotes,
                holding: self.holding,
                exposure: &self.exposure,
                block: self.block.as_ref(),
            },
        })
    }

    fn note(&mut self, fact: &str) {
        let words: Vec<&str> = fact.split_whitespace().collect();
        match words[..] {
            ["no", "copy"] => {}
            ["no", "funds"] => (self.master_funds, self.slave_funds) = (None, None),
            ["smallest", lots] => self.symbols.get_mut(&symbol("EURUSD")).unwrap().lots_min = number(lots),
            ["step", step] => self.symbols.get_mut(&symbol("EURUSD")).unwrap().lots_step = number(step),
            ["no", "symbols"] => self.symbols = BTreeMap::new(),
            ["equity", both] => self.funds(both, |funds, value| funds.equity = value),
            ["balance", both] => self.funds(both, |funds, value| funds.balance = value),
            ["margin", both] => self.funds(both, |funds, value| funds.free_margin = value),
            ["funds", ms, "ms", "old"] => {
                for funds in [&mut self.master_funds, &mut self.slave_funds].into_iter().flatten() {
                    funds.at = Timestamp(NOW.0 - ms.parse::<i64>().unwrap() * 1000);
                }
            }
            ["currency", both] => {
                let (slave, master) = both.split_once('/').unwrap();
                (self.slave_currency, self.master_currency) = (slave.into(), master.into());
            }
            ["master", "lot", "unknown"] => self.master_contract = None,
            ["master", "lot", size] => self.master_contract.as_mut().unwrap().size = number(size),
            ["master", "prefix", text] => self.master_affixes.prefix = text.into(),
            ["master", "suffix", text] => self.master_affixes.suffix = text.into(),
            ["slave", "suffix", text] => self.slave_affixes.suffix = text.into(),
            ["status", code] => self.link.status = serde_json::from_str(code).unwrap(),
            ["disabled"] => self.link.enabled = false,
            ["winding", how] => self.link.winding = Some(winding(how)),
            ["others", count] => self.others = count.parse().unwrap(),
            ["age", ms] => self.age_ms = ms.parse().unwrap(),
            ["sync"] => self.origin = Origin::Sync,
            ["snapshot"] => self.origin = Origin::Snapshot,
            ["quote", both] => {
                let (bid, ask) = both.split_once('/').unwrap();
                self.quotes.insert(symbol("EURUSD"), Quote { bid: number(bid), ask: number(ask) });
            }
            ["held", lots, "lots,", positions, "positions,", here, "here"] => {
                let here = Held { lots: number(lots), positions: here.parse().unwrap() };
                let symbols = BTreeMap::from([(symbol("EURUSD"), here)]);
                self.exposure = Exposure { lots: number(lots), positions: positions.parse().unwrap(), symbols };
            }
            ["master", "netting"] => self.master_holding = Holding::Netting,
            ["unbegun", "copy", lots] => {
                self.hold(lots, Entry::Market, LegState::Open, Side::Buy);
                self.copy.as_mut().unwrap().legs.clear();
            }
            ["kept", lots] => self.copy.as_mut().unwrap().kept = number(lots),
            ["netting"] => self.holding = Holding::Netting,
            ["stop", "pause"] => self.block = Some(Block::Stop(StopDegree::Pause)),
            ["stop", "flatten"] => self.block = Some(Block::Stop(StopDegree::Flatten)),
            ["protected"] => {
                let (limit, seen, bound) = ("daily_loss".into(), number("-520"), number("-500"));
                self.block = Some(Block::Protection { limit, seen, bound });
            }
            ["copy", lots] => self.hold(lots, Entry::Market, LegState::Open, Side::Buy),
            ["copy", lots, "filled", at] => {
                self.hold(lots, Entry::Market, LegState::Open, Side::Buy);
                self.copy.as_mut().unwrap().legs[0].price = Some(number(at));
            }
            ["pending", "copy", lots] => self.hold(lots, Entry::Limit, LegState::Pending, Side::Buy),
            ["sent", "copy", lots] => self.hold(lots, Entry::Market, LegState::Sent, Side::Buy),
            ["ended", "copy", lots] => self.hold(lots, Entry::Market, LegState::Over, Side::Buy),
            ["reversed", "copy", lots] => {
                self.hold(lots, Entry::Market, LegState::Open, Side::Sell);
                let copy = self.copy.as_mut().unwrap();
                (copy.sl, copy.tp) = (copy.tp, copy.sl);
            }
            _ => panic!("no fact is called `{fact}`"),
        }
    }

    fn funds(&mut self, both: &str, set: fn(&mut Funds, Money)) {
        let (slave, master) = both.split_once('/').unwrap();
        set(self.slave_funds.as_mut().unwrap(), number(slave));
        set(self.master_funds.as_mut().unwrap(), number(master));
    }

    fn hold(&mut self, lots: &str, entry: Entry, state: LegState, side: Side) {
        let (slave, master) = lots.split_once('/').unwrap();
        let asked: Lots = number(slave);
        let opened = if state == LegState::Pending { Lots::ZERO } else { asked };
        let leg = Leg {
            order: OrderId(Uuid::from_u128(1)),
            entry,
            asked,
            share: Factor::ONE,
            state,
            filled: opened,
            told_to_close: if state == LegState::Over { opened } else { Lots::ZERO },
            closed: if state == LegState::Over { opened } else { Lots::ZERO },
            ticket: None,
            price: None,
        };
        let master: Lots = number(master);
        let mut before = read_trade("buy 1 EURUSD sl 1.09 tp 1.12");
        (before.lots, before.entry) = (master, entry);
        self.copy = Some(Copy {
            symbol: symbol("EURUSD"),
            side,
            master_lots: master,
            master_left: master,
            kept: Number::ZERO,
            price: before.price,
            sl: before.sl,
            tp: before.tp,
            legs: vec![leg],
        });
        self.before = Some(before);
    }
}

fn winding(how: &str) -> WindDown {
    match how {
        "keep" => WindDown::Keep,
        "by_position" => WindDown::CloseOnlyByPosition,
        "by_symbol" => WindDown::CloseOnlyBySymbol,
        _ => panic!("no wind-down is called `{how}`"),
    }
}

pub fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

pub fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

pub fn contract(step: &str, max: &str, size: &str, digits: u8, tick: &str) -> Contract {
    Contract {
        lots_step: number(step),
        lots_min: number(step),
        lots_max: number(max),
        size: number(size),
        digits,
        tick_value: number("1"),
        tick_size: number(tick),
    }
}

fn table() -> BTreeMap<Symbol, Contract> {
    BTreeMap::from([
        (symbol("EURUSD"), contract("0.01", "50", "100000", 5, "0.00001")),
        (symbol("GBPUSD.m"), contract("0.01", "50", "100000", 5, "0.00001")),
        (symbol("GOLD.m"), contract("0.1", "5", "100", 2, "0.01")),
        (symbol("US30"), contract("1", "3", "1", 0, "1")),
    ])
}

/// `buy limit 0.33 EURUSD sl 1.09`, `close 50%`, `sl 1.09 tp -`, `lots 2`
fn read_change(text: &str) -> Change {
    let ticket = Ticket(1);
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["buy" | "sell", ..] => Change::Open(read_trade(text)),
        ["close"] => Change::Close { ticket, ratio: None, remaining: None, price: None },
        ["close", "to", lots] => Change::Close { ticket, ratio: None, remaining: Some(number(lots)), price: None },
        ["close", percent] => {
            let percent: rust_decimal::Decimal = number(percent.strip_suffix('%').unwrap());
            let ratio = crate::money::Factor::new(percent / rust_decimal::Decimal::ONE_HUNDRED).unwrap();
            Change::Close { ticket, ratio: Some(ratio), remaining: None, price: None }
        }
        _ => {
            let value = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
            let level = |name: &str| value(name).filter(|text| *text != "-").map(number::<Price>);
            let (price, lots) = (value("price").map(number), value("lots").map(number));
            let told = value("sl").is_some() || value("tp").is_some();
            let level = |name, usual| if told { level(name) } else { Some(number(usual)) };
            Change::Modify { ticket, price, sl: level("sl", "1.09"), tp: level("tp", "1.12"), lots }
        }
    }
}

fn read_trade(text: &str) -> Trade {
    let words: Vec<&str> = text.split_whitespace().collect();
    let value = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
    let entry = match words[1] {
        "limit" => Entry::Limit,
        "stop" => Entry::Stop,
        _ => Entry::Market,
    };
    let at = if entry == Entry::Market { 1 } else { 2 };
    Trade {
        ticket: Ticket(1),
        symbol: symbol(words[at + 1]),
        side: if words[0] == "buy" { Side::Buy } else { Side::Sell },
        entry,
        lots: number(words[at]),
        price: number("1.1"),
        sl: value("sl").map(number),
        tp: value("tp").map(number),
        magic: value("magic").map_or(0, |text| text.parse().unwrap()),
        comment: value("comment").unwrap_or_default().into(),
    }
}

fn words(instruction: &Instruction) -> String {
    let mut text = String::new();
    let mut levels = String::new();
    match instruction {
        Instruction::Open { sl, tp, .. } | Instruction::Modify { sl, tp, .. } => {
            for (name, level) in [("sl", sl), ("tp", tp)] {
                if let Some(level) = level {
                    write!(levels, " {name} {level}").unwrap();
                }
            }
        }
        Instruction::Close { .. } => {}
    }
    match instruction {
        Instruction::Open { symbol, side, entry, lots, price, slippage_max, magic, comment, expires_at, .. } => {
            let entry = format!("{entry:?}").to_lowercase();
            write!(text, "{} {entry} {lots} {symbol} @{price}{levels}", side.as_str()).unwrap();
            if *magic != 0 {
                write!(text, " magic {magic}").unwrap();
            }
            if !comment.is_empty() {
                write!(text, " comment {comment}").unwrap();
            }
            if let Some(slippage_max) = slippage_max {
                write!(text, " within {slippage_max}").unwrap();
            }
            if let Some(expires_at) = expires_at {
                write!(text, " for {}", expires_at.since(NOW).0 / 1000).unwrap();
            }
        }
        Instruction::Modify { price: Some(price), .. } => write!(text, "modify @{price}{levels}").unwrap(),
        Instruction::Modify { price: None, .. } => write!(text, "modify{levels}").unwrap(),
        Instruction::Close { lots: Some(lots), .. } => write!(text, "close {lots}").unwrap(),
        Instruction::Close { lots: None, .. } => text.push_str("close"),
    }
    text
}
